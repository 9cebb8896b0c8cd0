"""Touching roofs apart where they are too many to be looked at as a whole: tile by tile, with the same result.

A tile is seen with a margin in which the summits of its pixels lie, and a summit has the same name whichever tile sees
it. Summits and the passes between them are gathered from all tiles; these alone decide what is a roof. Only a roof
that reaches farther than the margin may be cut at a tile's border.
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

TILE = 3072  # pixels
MARGIN = 512  # pixels
Look = Callable[[Window], tuple[NDArray[np.uint8], Heights]]
Labelled = tuple[Window, NDArray[np.int32], NDArray[np.uint8]]


def separate_large(height: int, width: int, look: Look, *, ratio: float) -> Iterator[tuple[Window, NDArray[np.int32]]]:
    """Label the roofs of a mask of any size, touching ones apart.

    Args:
        height: of the mask in pixels.
        width: of the mask in pixels.
        look: gives, in a window, the mask, uint8 (h, w), 1 = roof, and its `distances` or `middles`; called twice for
            each tile.
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
    """Names of the summits of a tile's pixels, -1 for none; their heights and the pixels' own.

    One row and one column more than the tile has, where there are more. A name is the summit's flat index in the whole.
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
    """Polygons of the regions of equal labels in the order of their first pixels, and the mean value in each.

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
