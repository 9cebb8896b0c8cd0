"""Outer borders of tiled ground where roofs are missing: labels cut to an area often leave out what crosses its border.

The roofs are in the picture, but neither drawn nor marked as not judged; a network is taught and scored that they are
ground. Where nothing is missing, as many outlines touch the border as touch any line inside that runs along it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, groupby

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco import CocoObject, Index
from rooftop.raster.rasterise import encode

Cell = tuple[str, int, int]  # a grid, column and row in it
SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
ENOUGH = 20  # outlines along an inner line, from which on a border is judged by itself
_FEW = (
    1 / 8
)  # of the usual number of outlines at the border: what crosses it is missing; a town that thins out has more
_AGAIN = 1 / 2  # of the usual number: from here on most are there
_STEP = 4  # pixels from one line to the next
_AT = 1.0  # pixel; what comes as near as this touches


@dataclass(frozen=True)
class Border:
    """A border at which roofs are missing.

    edges: (row of the picture in the index, one of `SIDES`). touching: outlines that touch it. usual: median number of
    outlines that touch a line along it, between a quarter and three quarters of a tile inside. width: pixels, to where
    half as many outlines as usual touch a line.
    """

    edges: tuple[tuple[int, str], ...]
    touching: int
    usual: float
    width: int


def undrawn_borders(index: Index, cells: Sequence[Cell | None]) -> list[Border]:
    """Find the borders of tiled ground at which outlines are missing.

    A straight piece of border is judged by itself if `ENOUGH` outlines are usual there, all shorter and emptier ones
    together. Edges that `iscrowd` areas touch are left out, since somebody has said there what was not judged.

    Args:
        index: of the annotations.
        cells: of each picture its place in a grid of tiles, None if its name tells none.
    """
    taken = {cell for cell in cells if cell is not None}
    found, rest = [], [_Counted((), np.zeros(0, np.int64))]
    for piece in _pieces(cells, taken):
        counted = _count(index, piece)
        if counted.usual < ENOUGH:
            rest.append(counted)
        elif border := counted.judged():
            found.append(border)
    together = _together(rest)
    if together.usual >= ENOUGH and (border := together.judged()):
        found.append(border)
    return found


def doubtful_areas(index: Index, borders: Sequence[Border]) -> dict[int, list[CocoObject]]:
    """What lies along the borders as `iscrowd` areas, one a category, by the row of the picture.

    Args:
        index: of the annotations.
        borders: of `undrawn_borders`.
    """
    strips = defaultdict[int, list[tuple[str, int]]](list)
    for border in borders:
        for row, side in border.edges:
            strips[row].append((side, border.width))
    numbers = count(index.last_annotation_id + 1)
    found = {}
    for row, sides in sorted(strips.items()):
        run = encode(_drawn(index.sizes[row].tolist(), sides))
        area = float(coco.area(run))
        found[row] = [CocoObject(next(numbers), kind.id, True, area, None, run) for kind in index.categories]
    return found


def _drawn(size: Sequence[int], sides: Sequence[tuple[str, int]]) -> NDArray[np.uint8]:
    """Strips along sides of a picture, each with its width: uint8 (H, W), 1 inside."""
    height, width = size
    area = np.zeros((height, width), np.uint8)
    for side, deep in sides:
        rows, columns = {
            "left": (slice(None), slice(deep)),
            "right": (slice(None), slice(max(0, width - deep), None)),
            "top": (slice(deep), slice(None)),
            "bottom": (slice(max(0, height - deep), None), slice(None)),
        }[side]
        area[rows, columns] = 1
    return area


@dataclass(frozen=True)
class _Counted:
    """Outlines that touch a line 0, 4, 8 ... pixels inside some edges; lines end three quarters of a tile inside."""

    edges: tuple[tuple[int, str], ...]
    lines: NDArray[np.int64]

    @property
    def usual(self) -> float:
        return float(np.median(self.lines[len(self.lines) // 3 :])) if len(self.lines) else 0.0

    def judged(self) -> Border | None:
        usual = self.usual
        if not self.edges or self.lines[0] > _FEW * usual:
            return None
        width = _STEP * int(np.argmax(self.lines >= _AGAIN * usual))
        return Border(self.edges, int(self.lines[0]), usual, width)


def _pieces(cells: Sequence[Cell | None], taken: set[Cell]) -> list[list[tuple[int, str]]]:
    """The edges of tiles without a neighbour, those of one straight line together."""
    lines = defaultdict[tuple[str, str, int], dict[int, int]](dict)
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        grid, x, y = cell
        for side, (dx, dy) in SIDES.items():
            if (grid, x + dx, y + dy) not in taken:
                lines[grid, side, x if dx else y][y if dx else x] = row
    pieces = []
    for (_, side, _), places in sorted(lines.items()):
        for _, run in groupby(enumerate(sorted(places)), lambda pair: pair[1] - pair[0]):
            pieces.append([(places[place], side) for _, place in run])
    return pieces


def _count(index: Index, piece: Sequence[tuple[int, str]]) -> _Counted:
    edges, counts = [], []
    for row, side in piece:
        size = index.sizes[row].tolist()
        objects = index.objects(row)
        crowds = _reach([thing for thing in objects if thing.is_crowd], side, size)
        if (crowds[:, 0] <= _AT).any():
            continue
        reach = _reach([thing for thing in objects if not thing.is_crowd], side, size)
        depth = size[1] if SIDES[side][0] else size[0]
        lines = np.arange(0, depth * 3 // 4, _STEP)
        counts.append(((reach[:, :1] <= lines + _AT) & (reach[:, 1:] > lines)).sum(axis=0))
        edges.append((row, side))
    return _Counted(tuple(edges), _sum(counts))


def _together(parts: Sequence[_Counted]) -> _Counted:
    return _Counted(tuple(edge for part in parts for edge in part.edges), _sum([part.lines for part in parts]))


def _sum(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The sum over tiles, as far as the smallest goes."""
    filled = [count for count in counts if len(count)]
    shortest = min(map(len, filled), default=0)
    return np.sum([count[:shortest] for count in filled], axis=0) if filled else np.zeros(0, np.int64)


def _reach(objects: Sequence[CocoObject], side: str, size: Sequence[int]) -> NDArray[np.float64]:
    """How far inside a side of the picture each object begins and ends, in pixels: float64 (n, 2)."""
    dx, dy = SIDES[side]
    axis, depth = (0, size[1]) if dx else (1, size[0])
    low, high = np.array([_span(thing, axis) for thing in objects], np.float64).reshape(-1, 2).T
    return np.stack([depth - high, depth - low] if dx + dy > 0 else [low, high], axis=1)


def _span(thing: CocoObject, axis: int) -> tuple[float, float]:
    """Where an object begins and ends along an axis."""
    if thing.rle is not None:
        box = coco.toBbox(thing.rle)
        return float(box[axis]), float(box[axis] + box[axis + 2])
    points = np.concatenate(thing.rings or [])[:, axis]
    return float(points.min()), float(points.max())
