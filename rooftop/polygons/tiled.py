"""Polygons and separation of roofs for masks of any size, tile by tile, with the result of the whole mask.

Polygons: regions at a tile's border wait as pieces until none of their pixels is on the last row; then the pieces
are united. Pieces are joined by pixels (4-connectivity across the seam), not by geometric tolerances; corners are
integers, so the union is exact.

Separation: a tile is read with a margin for the summits of its pixels; a summit has the same name in every tile.
Basins and seams are measured in all tiles; their sums alone decide the roofs. Only a roof larger than the margin may be
cut at a tile's border.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.polygons.regions import Join, add_up, measure
from rooftop.polygons.separate import Basins, Heights, Surface, basins
from rooftop.raster.polygonise import first_pixel, polygonise_labels, without_straight_corners
from rooftop.raster.windows import Window, tiles

COMPONENT_TILE = 1024  # pixels
Labels = NDArray[np.int64]


def components(
    height: int, width: int, read: Callable[[Window], NDArray[np.uint8]], *, tile: int = COMPONENT_TILE
) -> Iterator[Polygon]:
    """Yield polygons of the 4-connected regions of a mask, pixel frame of the whole mask, holes kept.

    Args:
        height: of the mask in pixels.
        width: of the mask in pixels.
        read: returns the mask, uint8 (h, w), 1 = roof, in a window.
        tile: side of the windows, in pixels.
    """
    seams = _Seams(width)
    for window in tiles(height, width, tile):
        labels, _ = ndimage.label(read(window), output=np.int32)
        yield from seams.add(window, labels)
        if window.column + window.width == width:
            yield from seams.end_of_row()
    yield from seams.rest()


class _Seams:
    """Pieces of incomplete regions, joined by union-find."""

    def __init__(self, width: int) -> None:
        self._above, self._below = np.zeros(width, np.int64), np.zeros(width, np.int64)
        self._left: Labels = np.zeros(0, np.int64)
        self._parent: dict[int, int] = {}
        self._pieces: dict[int, list[Polygon]] = defaultdict(list)
        self._next = 1

    def add(self, window: Window, labels: NDArray[np.int32]) -> Iterator[Polygon]:
        """Add the tile right of the last one; yields the regions completely inside."""
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
        """Yield the regions without pixels on the last row; the others wait under their root's name."""
        alive = {name: self._root(name) for name in np.unique(self._below).tolist() if name}
        pieces = self._gathered()
        yield from (united(pieces.pop(root)) for root in sorted(set(pieces) - set(alive.values())))
        self._above = np.array([0, *alive.values()])[np.searchsorted([0, *alive], self._below)]
        self._below = np.zeros_like(self._above)
        self._parent, self._pieces = {}, pieces

    def rest(self) -> Iterator[Polygon]:
        """Yield the regions on the mask's last row."""
        yield from map(united, self._gathered().values())

    def _gathered(self) -> dict[int, list[Polygon]]:
        """Group pieces by the current names of their regions."""
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
    """Unite the pieces of a region; they share edges."""
    return without_straight_corners(pieces[0] if len(pieces) == 1 else shapely.union_all(pieces))


TILE = 3072  # pixels
MARGIN = 512  # pixels
Labelled = tuple[Window, NDArray[np.int32], NDArray[np.uint8]]


def separate_large(
    height: int, width: int, look: Callable[[Window], Surface], join: Join
) -> Iterator[tuple[Window, NDArray[np.int32]]]:
    """Label the roofs of a mask of any size, touching ones separately.

    Args:
        height: of the mask in pixels.
        width: of the mask in pixels.
        look: returns the surface in a window; called twice for each tile.
        join: decides which basins are one roof.

    Yields:
        Windows that tile the mask, and the labels, int32 (h, w), in each: 0 = background, 1 ... N.
    """
    size = height, width
    regions = add_up([measure(*_seen(tile, size, look), (tile.height, tile.width)) for tile in tiles(*size, TILE)])
    numbers = np.unique(join(regions), return_inverse=True)[1].astype(np.int32) + 1
    for tile in tiles(*size, TILE):
        names = _seen(tile, size, look)[0][: tile.height, : tile.width]
        yield tile, np.where(names < 0, 0, numbers[np.searchsorted(regions.names, names)])


def _seen(
    tile: Window, size: tuple[int, int], look: Callable[[Window], Surface]
) -> tuple[Basins, Heights, Heights, NDArray[np.uint8], Heights]:
    """Return the first five arguments of `measure` for a tile; a name is the summit's flat index in the mask."""
    top, left = max(tile.row - MARGIN, 0), max(tile.column - MARGIN, 0)
    bottom, right = min(tile.row + tile.height + MARGIN, size[0]), min(tile.column + tile.width + MARGIN, size[1])
    surface = look(Window(left, top, right - left, bottom - top))
    summits = basins(surface)
    y, x = tile.row - top, tile.column - left
    part = slice(y, y + tile.height + 1), slice(x, x + tile.width + 1)
    own = summits[part]
    row, column = np.divmod(own, summits.shape[1])
    names = np.where(own < 0, -1, (row + top) * size[1] + column + left)
    values = surface.values[:, part[0], part[1]]
    return names, surface.height[part], surface.depth[part], values, surface.height.ravel()[own]


def gathered(labelled: Iterable[Labelled]) -> list[tuple[Polygon, float]]:
    """Yield the polygons of regions of equal labels in the order of their first pixels, and the mean value in each.

    Args:
        labelled: windows that tile a raster, labels, int32 (h, w), 0 = background, and values, uint8 (h, w), in each.
    """
    pieces: dict[int, list[Polygon]] = defaultdict(list)
    total: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    for window, labels, values in labelled:
        for label, polygon in polygonise_labels(labels):
            pieces[label].append(shapely.transform(polygon, lambda at, by=(window.column, window.row): np.add(at, by)))
        names, numbers = np.unique(labels, return_counts=True)
        for label, some, number in zip(names, ndimage.sum_labels(values, labels, names), numbers, strict=True):
            total[int(label)] += int(some)
            count[int(label)] += int(number)
    # a label is several polygons where tiles saw a roof that reaches beyond their margin otherwise
    found = [
        (without_straight_corners(part), total[label] / count[label])
        for label, parts in pieces.items()
        for part in shapely.get_parts(shapely.union_all(parts))
    ]
    return sorted(found, key=lambda pair: first_pixel(pair[0]))
