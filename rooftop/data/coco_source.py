"""Pictures and truth by a COCO json."""

import logging
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import Index, MaskFolder, picture_path, unpaired
from rooftop.data.sources import ONLY_ROOFS, Drawing, Truth, first_names, with_data
from rooftop.errors import DataError
from rooftop.raster.picture import read_mask
from rooftop.raster.rasterise import number
from rooftop.raster.reading import PlainReading, Reading
from rooftop.raster.targets import ROOF, TARGETS, gaps

log = logging.getLogger(__name__)


class CocoSource:
    """Pictures listed by a COCO json; masks rasterised on the fly, or taken from a folder that `make_masks.py` filled.

    Args:
        images: folder of the pictures.
        index: the annotations.
        categories: ids or names; None takes all of the json.
        masks: folder of `<stem>.png`, or None.
        drawing: what becomes a channel of the truth.
        reading: how picture files are read.

    Raises:
        DataError: unknown category, entries without file, several categories with masks on disk, or masks
            of other annotations.
    """

    def __init__(
        self,
        images: Path,
        index: Index,
        categories: list[int | str] | None = None,
        masks: Path | None = None,
        *,
        drawing: Drawing = ONLY_ROOFS,
        reading: Reading | None = None,
    ) -> None:
        self.images, self.index, self.masks, self.drawing = images, index, masks, drawing
        self._reading = reading or PlainReading()
        self.names: Sequence[str] = index.names  # in the mapped file, which workers share
        self.sizes = index.sizes
        self._ids = index.category_ids(categories)
        by_id = {category.id: category.name for category in index.categories}
        self.categories = tuple(by_id[i] for i in self._ids)
        if masks is not None and len(self._ids) > 1:
            raise DataError(f"data.masks={masks} holds one category; choose one by data.categories=[NAME].")
        if masks is not None:
            MaskFolder(index, self._ids, masks).check()
        _check_files(images, self.names)

    def path(self, i: int) -> Path:
        """The file of the picture."""
        return picture_path(self.images, self.names[i])

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C); DataError if its size is not what the json says."""
        path = self.path(i)
        pixels = self._reading.picture(path)
        if pixels.shape[:2] != tuple(self.sizes[i]):
            height, width = self.sizes[i]
            turned = pixels.shape[:2] == (width, height)  # as viewers and labelling tools show what a camera has turned
            remedy = "turn its pixels if it has an EXIF turn, which is not looked at" if turned else "correct the entry"
            raise DataError(
                f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px, but the annotations say {width} x {height}; "
                f"{remedy}, or replace the picture."
            )
        return pixels

    def truth(self, i: int) -> Truth:
        """Mask uint8 (T K, H, W), roof first, and valid bool (H, W): False on `iscrowd` areas and without data."""
        mask, valid = self._whole_truth(i)
        valid = with_data(valid, self._reading, self.path(i))
        if self.drawing == ONLY_ROOFS:
            return mask, valid
        size = mask.shape[1:]
        roofs = [item for item in self.index.objects(i) if not item.is_crowd and item.category_id in self._ids]
        numbered = number(roofs, *size)
        if self.drawing.gaps:
            mask = mask * ~gaps(numbered)
        extra = [name for name in self.drawing.targets if name != ROOF]
        by_kind = [[roof for roof in roofs if roof.category_id == kind] for kind in self._ids if extra]
        kinds = [numbered] if len(by_kind) == 1 else [number(of_kind, *size) for of_kind in by_kind]
        return np.stack([*mask, *(TARGETS[name](kind) for name in extra for kind in kinds)]), valid

    def _whole_truth(self, i: int) -> Truth:
        if self.masks is None:
            return self.index.truth(i, self._ids)
        mask = read_mask(self.masks / f"{Path(self.names[i]).stem}.png")
        if mask.shape != tuple(self.sizes[i]):
            raise DataError(f"{self.masks / Path(self.names[i]).stem}.png: not the size of its picture; make it again.")
        if any(item.is_crowd for item in self.index.objects(i)):
            return mask[None], self.index.truth(i, self._ids)[1]
        return mask[None], np.ones(mask.shape, dtype=bool)


def _check_files(images: Path, names: Sequence[str]) -> None:
    found = unpaired(images, names)
    if found.missing:
        spelt = {normalize("NFC", name) for name in found.extra}
        alike = any(normalize("NFC", name) in spelt for name in found.missing)
        remedy = "rename the files, whose accents are characters of their own, as a Mac writes them (convmv --nfc)"
        remedy = remedy if alike else "add the pictures or remove the entries"
        raise DataError(f"{images}: no file for {first_names(found.missing)}; {remedy}.")
    if found.extra:
        log.warning(
            "%s: %d pictures have no entry and are left out: %s", images, len(found.extra), first_names(found.extra)
        )
