"""Polygons and separation of roofs for masks of any size, tile by tile, with the result of the whole mask.

Polygons: regions at a tile's border wait as pieces until none of their pixels is on the last row; then the pieces
are united. Pieces are joined by pixels (4-connectivity across the seam), not by geometric tolerances; corners are
integers, so the union is exact.

Separation: a tile is read with a margin for the summits of its pixels; a summit has the same name in every tile.
Summits and passes are collected from all tiles; they alone decide the roofs. Only a roof larger than the margin may
be cut at a tile's border.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.polygons.separate import RIM, Basins, Heights, basins_of, highest_first, passes, roofs_of
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
Look = Callable[[Window], tuple[NDArray[np.uint8], Heights]]
Labelled = tuple[Window, NDArray[np.int32], NDArray[np.uint8]]


def separate_large(height: int, width: int, look: Look, *, ratio: float) -> Iterator[tuple[Window, NDArray[np.int32]]]:
    """Label the roofs of a mask of any size, touching ones separately.

    Args:
        height: of the mask in pixels.
        width: of the mask in pixels.
        look: returns, for a window, the mask, uint8 (h, w), 1 = roof, and its `distances` or `middles`; called twice
            for each tile.
        ratio: as for `separate`.

    Yields:
        Windows that tile the mask, and the labels, int32 (h, w), in each: 0 = background, 1 ... N.
    """
    seen = [_passes(*_tile(tile, (height, width), look)) for tile in tiles(height, width, TILE)]
    every, first = np.unique(np.concatenate([names for names, *_ in seen]), return_index=True)
    summits = np.concatenate([summits for _, summits, *_ in seen])[first]
    pairs = np.searchsorted(every, np.concatenate([pairs for *_, pairs, _ in seen], axis=1))
    roofs = roofs_of(summits, *highest_first(pairs, np.concatenate([heights for *_, heights in seen])), ratio=ratio)
    numbers = np.unique(roofs, return_inverse=True)[1].astype(np.int32) + 1
    for tile in tiles(height, width, TILE):
        names = _tile(tile, (height, width), look)[0][: tile.height, : tile.width]
        yield tile, np.where(names < 0, 0, numbers[np.searchsorted(every, names)])


def _tile(tile: Window, size: tuple[int, int], look: Look) -> tuple[Basins, Heights, Heights]:
    """Return the names of the summits of a tile's pixels, -1 for none; their heights and the pixels' own.

    With one more row and column than the tile, if the mask has them. A name is the summit's flat index in the mask.
    """
    top, left = max(tile.row - MARGIN, 0), max(tile.column - MARGIN, 0)
    bottom, right = min(tile.row + tile.height + MARGIN, size[0]), min(tile.column + tile.width + MARGIN, size[1])
    basins, heights = basins_of(*look(Window(left, top, right - left, bottom - top)))
    y, x = tile.row - top + RIM, tile.column - left + RIM
    rows, columns = (
        slice(y, min(y + tile.height + 1, len(basins) - RIM)),
        slice(x, min(x + tile.width + 1, basins.shape[1] - RIM)),
    )
    own = basins[rows, columns]
    row, column = np.divmod(own, basins.shape[1])
    names = np.where(own < 0, -1, (row - RIM + top) * size[1] + column - RIM + left)
    return names, heights.ravel()[own], heights[rows, columns]


def _passes(names: Basins, summits: Heights, heights: Heights) -> tuple[Basins, Heights, Basins, Heights]:
    """Names and heights of a tile's summits, and the highest pass between any two."""
    found, first = np.unique(names, return_index=True)
    pairs, lows = passes(names, heights)
    numbers = np.searchsorted(found, pairs)
    highest = np.unique(numbers[0] * len(found) + numbers[1], return_index=True)[1]  # the first of equal ones is it
    inside = found >= 0
    return found[inside], summits.ravel()[first][inside], pairs[:, highest], lows[highest]


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
