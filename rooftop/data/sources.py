"""Where pictures and truth come from; paired by name, never by position."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.reading import Reading
from rooftop.raster.targets import ROOF

Truth = tuple[NDArray[np.uint8], NDArray[np.bool_]]


class Source(Protocol):
    """Pictures with their truth.

    Attributes:
        names: file names, in a stable order.
        sizes: int (N, 2), height and width in pixels.
        categories: names of the K categories, the channels of the truth.
    """

    names: Sequence[str]
    sizes: NDArray[np.int32]
    categories: tuple[str, ...]

    def path(self, i: int) -> Path:
        """The file of the picture."""
        ...

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C)."""
        ...

    def truth(self, i: int) -> Truth:
        """Mask uint8 (T K, H, W) of 0 and 1, roof first, and valid bool (H, W)."""
        ...


@dataclass(frozen=True)
class Drawing:
    """What becomes of outlines.

    Attributes:
        targets: T names of `rooftop.raster.targets`, roof first; each has a channel for each category.
        gaps: take a pixel away between touching roofs, so that a network learns to keep them apart.
    """

    targets: tuple[str, ...] = (ROOF,)
    gaps: bool = False


ONLY_ROOFS = Drawing()


def with_data(valid: NDArray[np.bool_], reading: Reading, path: Path) -> NDArray[np.bool_]:
    """Where there is something to judge, and data to judge it by: bool (H, W)."""
    seen = reading.valid(path)
    return valid if seen is None or seen.shape != valid.shape else valid & seen  # the picture tells of a wrong size


def first_names(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
