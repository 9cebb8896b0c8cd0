"""Polygons of a mask of any size, read tile by tile: the same as those of the whole mask, each once.

Regions that reach a tile's border wait, as pieces, until no pixel of theirs lies on the last row any more; then
their pieces are united. Which pieces belong together is decided on pixels (4-connectivity across the seam), so that
nothing depends on geometric tolerances; corners are integers, so that uniting them is exact.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.raster.polygonise import polygonise_labels, without_straight_corners
from rooftop.raster.windows import Window, tiles

TILE = 1024  # pixels
Labels = NDArray[np.int64]


def components(
    height: int, width: int, read: Callable[[Window], NDArray[np.uint8]], *, tile: int = TILE
) -> Iterator[Polygon]:
    """Polygons of the 4-connected regions of a mask, pixel frame of the whole mask, holes kept.

    Args:
        height: of the mask in pixels.
        width: of the mask in pixels.
        read: gives the mask, uint8 (h, w), 1 = roof, in a window.
        tile: side of the windows in which the mask is read, in pixels.
    """
    seams = _Seams(width)
    for window in tiles(height, width, tile):
        labels, _ = ndimage.label(read(window), output=np.int32)
        yield from seams.add(window, labels)
        if window.column + window.width == width:
            yield from seams.end_of_row()
    yield from seams.rest()


class _Seams:
    """Pieces of regions that are not complete yet, and which of them belong together (union-find)."""

    def __init__(self, width: int) -> None:
        self._above, self._below = np.zeros(width, np.int64), np.zeros(width, np.int64)
        self._left: Labels = np.zeros(0, np.int64)
        self._parent: dict[int, int] = {}
        self._pieces: dict[int, list[Polygon]] = defaultdict(list)
        self._next = 1

    def add(self, window: Window, labels: NDArray[np.int32]) -> Iterator[Polygon]:
        """Take the tile right of the last one; gives the regions that lie wholly inside."""
        named = np.where(labels > 0, labels.astype(np.int64) + self._next - 1, 0)
        first = self._next
        self._next += int(labels.max())
        columns = window.slices[1]
        if window.column:
            self._join(self._left, named[:, 0])
        self._join(self._above[columns], named[0])
        self._below[columns], self._left = named[-1], named[:, -1]
        border = set(np.unique(np.concatenate([named[0], named[-1], named[:, 0], named[:, -1]])).tolist())
        for label, polygon in polygonise_labels(labels):
            placed = shapely.transform(polygon, lambda corners: np.add(corners, (window.column, window.row)))
            name = first + label - 1
            if name in border:
                self._pieces[self._root(name)].append(placed)
            else:
                yield without_straight_corners(placed)

    def end_of_row(self) -> Iterator[Polygon]:
        """Gives the regions that do not reach the last row of pixels; the others wait under their root's name."""
        alive = {name: self._root(name) for name in np.unique(self._below).tolist() if name}
        pieces = self._gathered()
        yield from (united(pieces.pop(root)) for root in sorted(set(pieces) - set(alive.values())))
        self._above = np.array([0, *alive.values()])[np.searchsorted([0, *alive], self._below)]
        self._below = np.zeros_like(self._above)
        self._parent, self._pieces = {}, pieces

    def rest(self) -> Iterator[Polygon]:
        """Gives the regions that reach the mask's last row."""
        yield from map(united, self._gathered().values())

    def _gathered(self) -> dict[int, list[Polygon]]:
        """Pieces under the names that their regions have after all joining so far."""
        gathered: dict[int, list[Polygon]] = defaultdict(list)
        for name, parts in self._pieces.items():
            gathered[self._root(name)] += parts
        return gathered

    def _join(self, one: Labels, other: Labels) -> None:
        both = (one > 0) & (other > 0)
        for a, b in np.unique(np.column_stack([one[both], other[both]]), axis=0).tolist():
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low

    def _root(self, name: int) -> int:
        while name in self._parent and self._parent[name] != name:
            name = self._parent[name]
        return name


def united(pieces: list[Polygon]) -> Polygon:
    """A region out of its pieces, which share edges."""
    return without_straight_corners(pieces[0] if len(pieces) == 1 else shapely.union_all(pieces))
