"""Which ground belongs to which split, over rasters that may overlap: what one has claimed for a split stays there."""

from collections.abc import Mapping

import numpy as np
import shapely
from shapely import Polygon

from rooftop.raster.georeference import Georeference
from rooftop.raster.windows import Window

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
            What earlier rasters have claimed for each split of the same ground, in the pixel frame of this one.
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
    """Whether a tile of a split holds ground that an earlier raster has claimed for another."""
    right, bottom = window.column + window.width, window.row + window.height
    tile = shapely.box(window.column + _SLACK, window.row + _SLACK, right - _SLACK, bottom - _SLACK)
    return any(shapely.intersects(tile, strips).any() for name, strips in others.items() if name != split)
