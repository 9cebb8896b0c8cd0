"""Outer borders of tiled ground where roofs are missing: labels cut to an area often leave out what crosses its border.

The roofs are in the picture, but neither drawn nor marked as not judged; a network is taught and scored that they are
ground. Where nothing is missing, about as many outlines touch the border as touch any line inside that runs along it.
Annotations are looked at, mask pictures are not: they do not tell one roof from the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco import CocoObject, Index
from rooftop.raster.rasterise import encode

ENOUGH = 20  # outlines along an inner line, from which on a border is judged by itself
# Shares of the usual number of outlines: at the border, where what crosses it is missing (of a town that thins out more
# are left); inside, from where on most are there.
_FEW, _AGAIN = 1 / 8, 1 / 2
_NEAR = 1 / 8  # of the depth of a tile: as far as scattered tiles may lack roofs, else they were chosen by their roofs
_STEP = 4  # pixels from one line to the next
_AT = 1.0  # pixel; what comes as near as this touches


@dataclass(frozen=True)
class Border:
    """A border at which the outlines of a category are missing.

    edges: of the tiles. fullest: the edge of the tile with the most outlines. category: its id. touching: outlines that
    touch the border. usual: median number of outlines that touch a line along it, between a quarter and three quarters
    of a tile inside. width: pixels, to where half as many outlines as usual touch a line.
    """

    edges: tuple[Edge, ...]
    fullest: Edge
    category: int
    touching: int
    usual: float
    width: int


def undrawn_borders(index: Index, cells: Sequence[Cell | None], others: Collection[Cell] = ()) -> list[Border]:
    """Find the borders of tiled ground at which outlines are missing.

    A straight piece of border is judged by itself if `ENOUGH` outlines are usual there, all shorter and emptier ones
    together. Where inner lines are as empty as the border, a street or river may as well explain it, and nothing is
    found; nor on scattered tiles whose roofs all lie far inside, since tiles may have been chosen by their roofs. Edges
    that `iscrowd` areas touch are left out: somebody has said there what was not judged.

    Args:
        index: of the annotations.
        cells: of each picture its place in a grid of tiles, None if its name tells none.
        others: places of the pictures of other splits; edges towards them are judged apart from the rest.
    """
    pieces = pieces_of(cells, set(others))
    depth = np.median([index.sizes[row] for row, cell in enumerate(cells) if cell], axis=0) if pieces else np.zeros(2)
    boxes: dict[int, _Boxes] = {}
    found: list[Border] = []
    for category in index.categories:
        pools = defaultdict[str, list[_Counted]](list)
        for kind, piece in pieces:
            counted = _count(index, boxes, piece, category.id, depth)
            if counted.usual < ENOUGH:
                pools[kind].append(counted)
            else:
                found += counted.judged(category.id)
        found += [border for parts in pools.values() for border in _together(parts).judged(category.id, scattered=True)]
    return found


def doubtful_areas(index: Index, borders: Sequence[Border]) -> dict[int, list[CocoObject]]:
    """What lies along the borders as `iscrowd` areas, by the row of the picture.

    Args:
        index: of the annotations.
        borders: of `undrawn_borders`.
    """
    strips = defaultdict[tuple[int, int], list[tuple[str, int]]](list)
    for border in borders:
        for row, side in border.edges:
            strips[row, border.category].append((side, border.width))
    numbers = count(index.last_annotation_id + 1)
    found = defaultdict[int, list[CocoObject]](list)
    for (row, category), sides in sorted(strips.items()):
        run = encode(_drawn(index.sizes[row].tolist(), sides))
        found[row].append(CocoObject(next(numbers), category, True, float(coco.area(run)), None, run))
    return dict(found)


def _drawn(size: Sequence[int], sides: Sequence[tuple[str, int]]) -> NDArray[np.uint8]:
    """Strips along sides of a picture, each with its width: uint8 (H, W), 1 inside."""
    height, width = size
    area = np.zeros((height, width), np.uint8)
    for side, deep in sides:
        low, right = max(0, height - deep), max(0, width - deep)
        strips = {"left": area[:, :deep], "right": area[:, right:], "top": area[:deep], "bottom": area[low:]}
        strips[side][:] = 1
    return area


@dataclass(frozen=True)
class _Counted:
    """Outlines that touch a line 0, 4, 8 ... pixels inside some edges, to seven eighths of a tile: int64 (n,)."""

    edges: tuple[Edge, ...]
    lines: NDArray[np.int64]
    fullest: Edge = (0, "")

    @property
    def usual(self) -> float:
        return float(np.median(self._between(1 / 4, 3 / 4))) if len(self.lines) else 0.0

    def judged(self, category: int, *, scattered: bool = False) -> Iterator[Border]:
        """The border, if outlines are missing there. scattered: the edges are of many small pieces."""
        usual = self.usual
        if usual < ENOUGH or self.lines[0] > _FEW * usual or self._between(1 / 2, 7 / 8).min() <= _FEW * usual:
            return
        step = int(np.argmax(self.lines >= _AGAIN * usual))
        if scattered and (usual < len(self.edges) / 2 or step > _NEAR * self._depth):
            return
        yield Border(self.edges, self.fullest, category, int(self.lines[0]), usual, step * _STEP)

    @property
    def _depth(self) -> float:
        """Steps through a whole tile."""
        return len(self.lines) * 8 / 7

    def _between(self, first: float, last: float) -> NDArray[np.int64]:
        return self.lines[int(first * self._depth) : int(last * self._depth) + 1]


@dataclass(frozen=True)
class _Boxes:
    """Where the objects of a picture lie: float64 (n, 4), left, top, right, bottom in pixels."""

    box: NDArray[np.float64]
    category: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, objects: Sequence[CocoObject]) -> _Boxes:
        return cls(
            np.array([_box(thing) for thing in objects], np.float64).reshape(-1, 4),
            np.array([thing.category_id for thing in objects], np.int64),
            np.array([thing.is_crowd for thing in objects], bool),
        )


def _box(thing: CocoObject) -> list[float]:
    if thing.rle is not None:
        x, y, width, height = coco.toBbox(thing.rle).tolist()
        return [x, y, x + width, y + height]
    points = np.concatenate(thing.rings or [])
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]


def _count(
    index: Index, boxes: dict[int, _Boxes], piece: Sequence[Edge], category: int, depth: NDArray[np.float64]
) -> _Counted:
    """Count along the edges of a piece; `boxes` remembers pictures, `depth` is the median height and width of tiles."""
    edges, counts = [], []
    for row, side in piece:
        dx, dy = SIDES[side]
        deep = int(index.sizes[row][1 if dx else 0])
        if deep < depth[1 if dx else 0] / 2:  # a scrap, which would end the lines of its neighbours
            continue
        if row not in boxes:
            boxes[row] = _Boxes.of(index.objects(row))
        low, high = boxes[row].box[:, [0, 2] if dx else [1, 3]].T
        start, end = (deep - high, deep - low) if dx + dy > 0 else (low, high)
        crowd, chosen = boxes[row].is_crowd, boxes[row].category == category
        if (start[crowd & chosen] <= _AT).any():
            continue
        start, end = start[~crowd & chosen], end[~crowd & chosen]
        lines = np.arange(0, deep * 7 // 8, _STEP)
        counts.append(((start[:, None] <= lines + _AT) & (end[:, None] > lines)).sum(axis=0))
        edges.append((row, side))
    return _counted(edges, counts)


def _together(parts: Sequence[_Counted]) -> _Counted:
    filled = [part for part in parts if part.edges]
    summed = _counted([edge for part in filled for edge in part.edges], [part.lines for part in filled])
    fullest = max(filled, key=lambda part: int(part.lines.sum()), default=summed).fullest
    return _Counted(summed.edges, summed.lines, fullest)


def _counted(edges: Sequence[Edge], counts: Sequence[NDArray[np.int64]]) -> _Counted:
    """The sum over edges, as far as the shallowest tile goes."""
    if not edges:
        return _Counted((), np.zeros(0, np.int64))
    shortest = min(map(len, counts))
    fullest = max(zip(edges, counts, strict=False), key=lambda pair: int(pair[1].sum()))[0]
    return _Counted(tuple(edges), np.sum([line[:shortest] for line in counts], axis=0), fullest)


Cell = tuple[str, int, int]  # a grid, column and row in it
Edge = tuple[int, str]  # row of a picture in the index, one of SIDES
SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


def pieces_of(cells: Sequence[Cell | None], others: set[Cell]) -> list[tuple[str, list[Edge]]]:
    """The edges of tiles without a neighbour: of which kind, and those of one straight line together.

    Kinds: outer; hole, where a tile lies further out in the same row or column; split, beside one of another split.
    """
    taken = {cell for cell in cells if cell}
    ends = _ends(taken)
    lines = defaultdict[tuple[str, str, str, int], dict[int, list[int]]](lambda: defaultdict(list))
    for row, cell in enumerate(cells):
        for side, (dx, dy) in SIDES.items() if cell else ():
            grid, x, y = cell or ("", 0, 0)
            beside = grid, x + dx, y + dy
            if beside in taken:
                continue
            is_end = ends[grid, side, y if dx else x] == (x if dx else y)
            kind = "split" if beside in others else "outer" if is_end else "hole"
            lines[kind, grid, side, x if dx else y][y if dx else x].append(row)
    pieces = []
    for (kind, _, side, _), places in sorted(lines.items()):
        for _, run in groupby(enumerate(sorted(places)), lambda pair: pair[1] - pair[0]):
            pieces.append((kind, [(row, side) for _, place in run for row in places[place]]))
    return pieces


def _ends(taken: set[Cell]) -> Mapping[tuple[str, str, int], int]:
    """The outermost tile at each side of each row and column of a grid."""
    ends: dict[tuple[str, str, int], int] = {}
    for grid, x, y in taken:
        for side, (dx, dy) in SIDES.items():
            key, place = (grid, side, y if dx else x), x if dx else y
            ends[key] = (min if dx + dy < 0 else max)(ends.get(key, place), place)
    return ends
