"""Polygons on disk with a spatial index: found by window, at constant memory."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from rooftop.errors import RooftopError
from rooftop.raster.windows import Window

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE shapes (id INTEGER PRIMARY KEY, wkb BLOB);
CREATE TABLE cells (row INTEGER, col INTEGER, id INTEGER, PRIMARY KEY (row, col, id)) WITHOUT ROWID;
"""
_FIND = """
SELECT wkb FROM shapes WHERE id IN
(SELECT id FROM cells WHERE row BETWEEN ? AND ? AND col BETWEEN ? AND ?) ORDER BY id
"""


class Shelf:
    """A file of polygons in the pixel frame, sorted into square cells.

    Args:
        path: of a new file; the caller removes it.
        shape: (height, width) of the raster; polygons outside go into the cells at its edge.
        cell: side of a cell in pixels.
    """

    def __init__(self, path: Path, shape: tuple[int, int], *, cell: int) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript(_TABLES)
        self._cell, self._count = cell, 0
        self._last = (np.array(shape) - 1) // cell

    def add(self, polygons: Sequence[Polygon]) -> None:
        """Append polygons.

        Raises:
            RooftopError: the disk is full.
        """
        ids = range(self._count, self._count + len(polygons))
        self._count += len(polygons)
        try:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT INTO shapes VALUES (?, ?)", zip(ids, shapely.to_wkb(polygons), strict=True))
            self._base.executemany("INSERT INTO cells VALUES (?, ?, ?)", self._cells(ids, polygons))
            self._base.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise RooftopError(f"footprints cannot be put aside ({error}); free space on the disk.") from error

    def near(self, window: Window) -> list[Polygon]:
        """Return the polygons touching a window, in the order of adding."""
        right, bottom = window.column + window.width, window.row + window.height
        frame = shapely.box(window.column, window.row, right, bottom)
        first, last = np.array([window.row, window.column]), np.array([bottom, right])
        (top, left), (low, end) = (np.clip(edge // self._cell, 0, self._last).tolist() for edge in (first, last))
        found = shapely.from_wkb([wkb for (wkb,) in self._base.execute(_FIND, (top, low, left, end))])
        touching: list[Polygon] = [shape for shape in found if shape.intersects(frame)]
        return touching

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _cells(self, ids: Sequence[int], polygons: Sequence[Polygon]) -> Iterator[tuple[int, int, int]]:
        """Return row, column and polygon for each cell touched by a polygon's bounds."""
        if not len(polygons):
            return
        last = self._last[[1, 0, 1, 0]]
        bounds = np.clip(np.floor(shapely.bounds(polygons) / self._cell), 0, last).astype(int).tolist()
        for number, (left, top, right, bottom) in zip(ids, bounds, strict=True):
            yield from ((row, col, number) for row in range(top, bottom + 1) for col in range(left, right + 1))
