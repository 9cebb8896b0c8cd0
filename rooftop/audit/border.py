"""Outer borders of tiled ground with missing roofs.

Labels are often cut to an area, and the roofs across its border are dropped. These roofs are in the picture, but
neither drawn nor marked as not judged, so a network learns, and is scored, that they are ground.

The test counts outlines. Draw lines parallel to the border, every few pixels from the border inwards, and count the
outlines that touch each line. If the labels are complete, the border is a line like any other: about as many outlines
touch it. If roofs were dropped there, hardly any do, and the count rises to its usual value further inside:

    outlines
    usual |          .-'''-..-''''-.
          |        .'                     lines[0], the border, is nearly empty;
    half  |......./                       the count reaches half of the usual value at `width`
          |    .-'
        0 |..-'___________________________
          0   4   8  ...    pixels from the border

Only annotations are examined: mask pictures do not separate one roof from the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import CocoObject, Index
from rooftop.raster.rasterise import encode, run_area, run_box

# Lines along the border.
STEP = 4  # pixels from one line to the next: a fraction of a small roof, so no roof lies between two lines
TOUCH = 1.0  # pixels; a nearer outline touches the line: tools round corners to whole pixels
DEEPEST = 7 / 8  # of the depth of a tile: the last line; beyond, lines come near the opposite edge of the tile
# The usual count is the median over the middle half of the tile, away from both edges.
MIDDLE = (1 / 4, 3 / 4)  # of the depth of a tile

# Decision. If complete labels have 20 outlines on a line (Poisson), two or fewer happen less than once in a million
# borders. Measured on the borders of Banepa: 0 to 4 outlines where 20 to 66 are usual (benchmarks/RECIPES.md, part 8).
ENOUGH = 20  # usual outlines for a judgement
FEW = 1 / 8  # of the usual count: at most this many at a border with missing roofs; a town that thins out has more
HALF = 1 / 2  # of the usual count: reached where most roofs are drawn, the end of the doubtful strip
# Streets and rivers along the tiles empty inner lines too, from this depth on.
INNER = (1 / 2, DEEPEST)  # of the depth of a tile
# Scattered tiles, chosen by their roofs, have no roof near their edges. Missing roofs empty a narrow strip only.
NARROW = 1 / 8  # of the depth of a tile: the widest doubtful strip of scattered tiles
PER_EDGE = 1 / 2  # usual outlines for each edge of scattered tiles; fewer are too sparse to judge

Cell = tuple[str, int, int]  # position of a tile: name of the grid, column, row
Edge = tuple[int, str]  # row of a picture in the index, one of SIDES
SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}  # columns and rows to the neighbour


@dataclass(frozen=True)
class Border:
    """A border with missing outlines of one category.

    Attributes:
        edges: of the tiles along it.
        fullest: edge of the tile with the most outlines.
        category: id.
        touching: number of outlines at the border.
        usual: median number of outlines on a line in the middle half of the tiles.
        width: of the doubtful strip in pixels, up to the first line with half the usual number.
    """

    edges: tuple[Edge, ...]
    fullest: Edge
    category: int
    touching: int
    usual: float
    width: int


def undrawn_borders(index: Index, cells: Sequence[Cell | None], others: Collection[Cell] = ()) -> list[Border]:
    """Find the borders of tiled ground with missing outlines.

    A straight piece of border is judged separately if at least `ENOUGH` outlines are usual there. Shorter and emptier
    pieces of one kind (outer, hole, split) are judged together.

    No border is reported in three cases: inner lines are as empty as the border (a street or river explains both);
    the roofs of scattered tiles all lie far inside (the tiles were chosen by their roofs); an `iscrowd` area touches
    the edge (somebody marked it as not judged already).

    Args:
        index: of the annotations.
        cells: grid position of each picture; None if its name contains none.
        others: grid positions of the pictures of other splits; edges beside them are judged separately, because
            roofs are cut there, not missing.
    """
    pieces = pieces_of(cells, set(others))
    depth = np.median([index.sizes[row] for row, cell in enumerate(cells) if cell], axis=0) if pieces else np.zeros(2)
    boxes: dict[int, _Boxes] = {}
    found: list[Border] = []
    for category in index.categories:
        pools = defaultdict[str, list[_Profile]](list)
        for kind, piece in pieces:
            profile = _profile(index, boxes, piece, category.id, depth)
            if profile.usual < ENOUGH:
                pools[kind].append(profile)
            else:
                found += profile.judged(category.id)
        found += [border for parts in pools.values() for border in _joined(parts).judged(category.id, scattered=True)]
    return found


def doubtful_areas(
    index: Index, borders: Sequence[Border], moves: Mapping[int, tuple[float, float]] | None = None
) -> dict[int, list[CocoObject]]:
    """Mark the strips along the borders, and those which moved labels leave bare, as `iscrowd` areas.

    Args:
        index: of the annotations.
        borders: of `undrawn_borders`.
        moves: dx and dy in pixels of the labels, by row of the picture.

    Returns:
        New annotations by row of the picture, one for each category.
    """
    strips = defaultdict[tuple[int, int], list[tuple[str, int]]](list)
    for border in borders:
        for row, side in border.edges:
            strips[row, border.category].append((side, border.width))
    used = [index.categories[kind].id for kind in np.unique(index.arrays["kind"]).tolist()]
    for row, (dx, dy) in (moves or {}).items():
        bare = [("left" if dx > 0 else "right", ceil(abs(dx))), ("top" if dy > 0 else "bottom", ceil(abs(dy)))]
        for category in used:
            strips[row, category] += [strip for strip in bare if strip[1]]
    numbers = count(index.last_annotation_id + 1)
    found = defaultdict[int, list[CocoObject]](list)
    for (row, category), sides in sorted(strips.items()):
        run = encode(_strips(index.sizes[row].tolist(), sides))
        found[row].append(CocoObject(next(numbers), category, True, run_area(run), None, run))
    return dict(found)


def _strips(size: Sequence[int], sides: Sequence[tuple[str, int]]) -> NDArray[np.uint8]:
    """Draw strips along sides of a picture, each with its width in pixels: uint8 (H, W), 1 inside."""
    height, width = size
    area = np.zeros((height, width), np.uint8)
    for side, deep in sides:
        low, right = max(0, height - deep), max(0, width - deep)
        strips = {"left": area[:, :deep], "right": area[:, right:], "top": area[:deep], "bottom": area[low:]}
        strips[side][:] = 1
    return area


@dataclass(frozen=True)
class _Profile:
    """Number of outlines on each line, summed over the tiles along a border.

    Attributes:
        edges: of the tiles.
        lines: int64 (n,), outlines on the line 0, STEP, 2 STEP ... pixels from the border, up to DEEPEST.
        fullest: edge of the tile with the most outlines.
    """

    edges: tuple[Edge, ...]
    lines: NDArray[np.int64]
    fullest: Edge = (0, "")

    @property
    def usual(self) -> float:
        return float(np.median(self._between(*MIDDLE))) if len(self.lines) else 0.0

    def judged(self, category: int, *, scattered: bool = False) -> Iterator[Border]:
        """Yield the border if outlines are missing there; `scattered`: many small pieces were joined."""
        usual = self.usual
        few = FEW * usual
        if usual < ENOUGH or self.lines[0] > few or self._between(*INNER).min() <= few:
            return
        first = int(np.argmax(self.lines >= HALF * usual))  # line at the end of the doubtful strip
        if scattered and (usual < PER_EDGE * len(self.edges) or first > NARROW * self._depth):
            return
        yield Border(self.edges, self.fullest, category, int(self.lines[0]), usual, first * STEP)

    @property
    def _depth(self) -> float:
        """Number of lines through a whole tile."""
        return len(self.lines) / DEEPEST

    def _between(self, first: float, last: float) -> NDArray[np.int64]:
        """Lines between two shares of the depth of a tile."""
        return self.lines[int(first * self._depth) : int(last * self._depth) + 1]


@dataclass(frozen=True)
class _Boxes:
    """Bounding boxes of a picture's objects: float64 (n, 4), left, top, right, bottom in pixels."""

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
        x, y, width, height = run_box(thing.rle).tolist()
        return [x, y, x + width, y + height]
    points = np.concatenate(thing.rings or [])
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]


def _profile(
    index: Index, boxes: dict[int, _Boxes], piece: Sequence[Edge], category: int, depth: NDArray[np.float64]
) -> _Profile:
    """Count the outlines on the lines along a piece of border.

    Args:
        index: of the annotations.
        boxes: cache of bounding boxes by row.
        piece: edges of the tiles.
        category: id.
        depth: median height and width of the tiles in pixels.
    """
    edges, counts = [], []
    for row, side in piece:
        dx, dy = SIDES[side]
        deep = int(index.sizes[row][1 if dx else 0])
        if deep < depth[1 if dx else 0] / 2:  # a scrap of a tile would shorten the lines of its neighbours
            continue
        if row not in boxes:
            boxes[row] = _Boxes.of(index.objects(row))
        low, high = boxes[row].box[:, [0, 2] if dx else [1, 3]].T
        start, end = (deep - high, deep - low) if dx + dy > 0 else (low, high)  # distance from the border, in pixels
        crowd, chosen = boxes[row].is_crowd, boxes[row].category == category
        if (start[crowd & chosen] <= TOUCH).any():  # marked as not judged already
            continue
        start, end = start[~crowd & chosen], end[~crowd & chosen]
        lines = np.arange(0, deep * 7 // 8, STEP)
        counts.append(((start[:, None] <= lines + TOUCH) & (end[:, None] > lines)).sum(axis=0))
        edges.append((row, side))
    return _summed(edges, counts)


def _joined(parts: Sequence[_Profile]) -> _Profile:
    """Add profiles of several pieces."""
    filled = [part for part in parts if part.edges]
    summed = _summed([edge for part in filled for edge in part.edges], [part.lines for part in filled])
    fullest = max(filled, key=lambda part: int(part.lines.sum()), default=summed).fullest
    return _Profile(summed.edges, summed.lines, fullest)


def _summed(edges: Sequence[Edge], counts: Sequence[NDArray[np.int64]]) -> _Profile:
    """Add counts line by line, as deep as the shallowest tile."""
    if not edges:
        return _Profile((), np.zeros(0, np.int64))
    shortest = min(map(len, counts))
    fullest = max(zip(edges, counts, strict=False), key=lambda pair: int(pair[1].sum()))[0]
    return _Profile(tuple(edges), np.sum([line[:shortest] for line in counts], axis=0), fullest)


def pieces_of(cells: Sequence[Cell | None], others: set[Cell]) -> list[tuple[str, list[Edge]]]:
    """Find the edges of tiles without a neighbour, grouped to straight pieces.

    Args:
        cells: grid position of each picture, or None.
        others: grid positions of other splits.

    Returns:
        The kind of each piece and its edges. Kinds: "outer"; "hole", if another tile lies further out in the same row
        or column; "split", beside a tile of another split.
    """
    taken = {cell for cell in cells if cell}
    ends = _ends(taken)
    # kind, grid, side, position across the border -> position along the border -> pictures
    lines = defaultdict[tuple[str, str, str, int], dict[int, list[int]]](lambda: defaultdict(list))
    for row, cell in enumerate(cells):
        for side, (dx, dy) in SIDES.items() if cell else ():
            grid, x, y = cell or ("", 0, 0)
            beside = grid, x + dx, y + dy
            if beside in taken:
                continue
            across, along = (x, y) if dx else (y, x)
            kind = "split" if beside in others else "outer" if ends[grid, side, along] == across else "hole"
            lines[kind, grid, side, across][along].append(row)
    pieces = []
    for (kind, _, side, _), rows in sorted(lines.items()):
        # neighbours have consecutive positions: position minus rank is equal within a piece
        for _, run in groupby(enumerate(sorted(rows)), lambda pair: pair[1] - pair[0]):
            pieces.append((kind, [(row, side) for _, along in run for row in rows[along]]))
    return pieces


def _ends(taken: set[Cell]) -> Mapping[tuple[str, str, int], int]:
    """Return the outermost tile at each side of each row and column: (grid, side, position along) -> across."""
    ends: dict[tuple[str, str, int], int] = {}
    for grid, x, y in taken:
        for side, (dx, dy) in SIDES.items():
            across, along = (x, y) if dx else (y, x)
            outermost = min if dx + dy < 0 else max
            ends[grid, side, along] = outermost(ends.get((grid, side, along), across), across)
    return ends
