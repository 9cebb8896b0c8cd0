"""Positions of tiles in a raster, and their splits: cut by place, with no ground in two splits.

Rasters may overlap: ground claimed by one raster for a split stays in it.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import shapely
from shapely import Polygon

from rooftop.raster.georeference import Georeference
from rooftop.raster.windows import Window


def windows(height: int, width: int, *, size: int, overlap: int) -> Iterator[Window]:
    """Yield squares of `size` pixels with `overlap`, row by row; the last of a row or column is moved back to fit.

    A raster smaller than a tile gives one tile of its own size.
    """
    for row in _starts(height, size, size - overlap):
        for column in _starts(width, size, size - overlap):
            yield Window(column, row, min(size, width), min(size, height))


def strips(length: int, stride: int, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Cut an axis into one strip a split.

    Borders are at the start of tiles: tiles without overlap fit exactly.

    Args:
        length: of the axis, in pixels.
        stride: from one tile to the next, in pixels.
        shares: of the axis, by split, in order; together 1.

    Returns:
        first pixel and end of each strip; strips of no length are left out.
    """
    found, start, reached = {}, 0, 0.0
    for split, share in shares.items():
        reached += share
        end = length if reached > 1 - 1e-9 else min(length, round(reached * length / stride) * stride)
        if end > start:
            found[split] = (start, end)
        start = end
    return found


def split_of(window: Window, strip: Mapping[str, tuple[int, int]], *, is_along_rows: bool) -> str | None:
    """Return the split of a window: its strip contains the window. None across a border.

    Args:
        window: a tile.
        strip: of each split.
        is_along_rows: the strips follow one another from top to bottom.
    """
    first, length = (window.row, window.height) if is_along_rows else (window.column, window.width)
    for split, (start, end) in strip.items():
        if start <= first and first + length <= end:
            return split
    return None


def _starts(length: int, size: int, stride: int) -> list[int]:
    """First pixels of the tiles along an axis."""
    starts = list(range(0, max(length - size, 0) + 1, stride))
    return starts if starts[-1] + size >= length else [*starts, length - size]


_EDGES = 8  # points along a side, since straight lines of one reference system bend in another
_SLACK = 0.5  # pixels, by which neighbouring sheets may overlap
Strips = Mapping[str, tuple[int, int]]


class Claims:
    """The strips of the rasters so far, corner by corner in longitude and latitude."""

    def __init__(self) -> None:
        self._splits: list[str] = []
        self._strips: list[Polygon] = []

    def share_out(self, georeference: Georeference, shape: tuple[int, int], strips: Strips) -> dict[str, list[Polygon]]:
        """Claim the strips of a raster for their splits, with or without data.

        Args:
            georeference: the raster's.
            shape: its (height, width) in pixels.
            strips: first pixel and end of each split along its longer side.

        Returns:
            Ground claimed by earlier rasters for each split, in the pixel frame of this one.
        """
        height, width = shape
        earlier = shapely.transform(np.array(self._strips, dtype=object), georeference.from_lonlat)
        found: dict[str, list[Polygon]] = {}
        for i in np.flatnonzero(shapely.intersects(earlier, shapely.box(0, 0, width, height))):
            found.setdefault(self._splits[i], []).append(earlier[i])
        for split, (first, end) in strips.items():
            strip = shapely.box(0, first, width, end) if height > width else shapely.box(first, 0, end, height)
            self._splits.append(split)
            fine = shapely.segmentize(strip, max(shape) / _EDGES)
            self._strips.append(shapely.transform(fine, georeference.to_lonlat))
        return found


def is_claimed(window: Window, split: str, others: Mapping[str, list[Polygon]]) -> bool:
    """Report whether a tile contains ground claimed by an earlier raster for another split."""
    right, bottom = window.column + window.width, window.row + window.height
    tile = shapely.box(window.column + _SLACK, window.row + _SLACK, right - _SLACK, bottom - _SLACK)
    return any(shapely.intersects(tile, strips).any() for name, strips in others.items() if name != split)
