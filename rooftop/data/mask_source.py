"""Pictures and truth by a folder of mask pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from rooftop.data.sources import Truth, first_names, with_data
from rooftop.errors import DataError
from rooftop.raster.picture import list_pictures, read_mask
from rooftop.raster.reading import PlainReading, Reading

log = logging.getLogger(__name__)


class MaskSource:
    """A folder of pictures beside a folder of mask pictures with the same stems.

    Args:
        images: folder of the pictures.
        masks: folder of the masks.
        reading: how picture files are read.

    Raises:
        DataError: a picture without mask.
    """

    def __init__(self, images: Path, masks: Path, *, reading: Reading | None = None) -> None:
        self._reading = reading or PlainReading()
        self.categories: tuple[str, ...] = ("roof",)
        self.paths = list_pictures(images)
        self.names: Sequence[str] = [path.name for path in self.paths]
        by_stem = {_stem(path): path for path in list_pictures(masks)}
        alone = [path.name for path in self.paths if _stem(path) not in by_stem]
        if alone:
            raise DataError(f"{masks}: no mask for {first_names(alone)}; add the masks or remove the pictures.")
        self.masks = [by_stem[_stem(path)] for path in self.paths]
        idle = sorted(set(by_stem) - {_stem(path) for path in self.paths})
        if idle:
            log.warning("%s: %d masks without picture are left out: %s", masks, len(idle), first_names(idle))
        self.sizes = np.array([self._reading.size(path) for path in self.paths], dtype=np.int32)

    def path(self, i: int) -> Path:
        """The file of the picture."""
        return self.paths[i]

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C)."""
        return self._reading.picture(self.paths[i])

    def truth(self, i: int) -> Truth:
        """Mask uint8 (1, H, W) and valid bool (H, W), False where the picture has no data."""
        mask = read_mask(self.masks[i])
        if mask.shape != tuple(self.sizes[i]):
            height, width = self.sizes[i]
            raise DataError(
                f"{self.masks[i]}: {mask.shape[1]} x {mask.shape[0]} px, but its picture has {width} x {height}; "
                "make the mask again."
            )
        return mask[None], with_data(np.ones(mask.shape, dtype=bool), self._reading, self.paths[i])


def _stem(path: Path) -> str:
    """The name without suffix, in one of the two ways in which accents can be written."""
    return normalize("NFC", path.stem)
