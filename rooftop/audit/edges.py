"""The edges of tiled ground: sides of tiles at which no neighbour lies."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

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
