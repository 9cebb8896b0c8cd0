"""Sliding window over a scene of any size at constant memory: read, predict, blend and store at the same time.

One thread reads windows, the caller's predicts them, a third blends and stores; at most one batch waits on either
side. A batch never crosses rows of windows. So batches and stored bytes are the same after an interruption, and for
any number of processes.

Neighbouring windows overlap and are blended along a ramp in the middle of the overlap. Windows arrive in reading order.
All pixels of a window before its right and lower ramp are final at once; only ramps wait for the next window, at the
memory of one row of ramps. Only ramps are weighted and summed; all other pixels are copied.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rooftop.inference.unfinished import Canvas
from rooftop.raster.probability import stored
from rooftop.raster.scene import Scene
from rooftop.raster.windows import Span, Window, spans

Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A network: uint8 (B, H, W, C) to probability float32 (B, K, H, W) in [0, 1]."""
T = TypeVar("T")
_LARGER, _LARGEST = 4, 4096  # bounds of a window's side in a scene scaled down: times the usual side, and pixels


@dataclass(frozen=True)
class Tiling:
    """Windows of a scene.

    Attributes:
        window: side in pixels.
        overlap: of neighbouring windows in pixels, at most half a window.
        batch: windows predicted together.
    """

    window: int
    overlap: int
    batch: int

    def scaled(self, factor: float) -> "Tiling":
        """Return windows of the same ground for pixels `factor` times smaller.

        In a scene scaled down the window itself takes memory: its side is at most four times the usual, or 4096.
        """
        largest = min(_LARGER * self.window, max(self.window, _LARGEST))
        window = min(round(self.window * factor), largest)
        return Tiling(window, min(round(self.overlap * factor), window // 2), self.batch)

    def narrowed(self, factor: float) -> "Tiling":
        """Return windows `factor` times smaller: magnified by it, they need the same memory. The overlap stays."""
        window = max(1, round(self.window / factor))
        return Tiling(window, min(self.overlap, window // 2), self.batch)

    def spans(self, side: int) -> list[Span]:
        """Return the rows or columns of windows over a side of so many pixels."""
        return spans(side, self.window, self.overlap)

    def ends(self, height: int) -> list[int]:
        """Return, for each row of windows, one past the last row of pixels it makes final."""
        return [row.last for row in self.spans(height)]


class Blender:
    """Blend overlapping windows with the weights of `rooftop.raster.windows`.

    Args:
        rows: windows from top to bottom.
        columns: windows from left to right.
        bands: K, number of channels.
    """

    def __init__(self, rows: list[Span], columns: list[Span], bands: int) -> None:
        self.rows, self.columns = rows, columns
        ramp = rows[0].end - rows[0].last
        self._below = np.zeros((bands, ramp, columns[-1].last))
        self._right = np.zeros((bands, 0, 0))

    def add(self, i: int, j: int, probability: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Add window j of row i; above the first added row there is nothing.

        Args:
            i: row of windows.
            j: window in its row; call with 0, 1, 2 ...
            probability: float32 (K, h, w) of the whole window; None: no data.

        Returns:
            float32 (K, ...) of the newly final pixels, `final(i, j)`.
        """
        row, column = self.rows[i], self.columns[j]
        height, width = row.last - row.first, column.last - column.first
        seen = self._weighted(row, column, probability)
        total = partial(self._total, i, j, seen)
        above, left = self._ramps(i, j)
        block: NDArray[np.float32] = seen[:, :height, :width].copy()  # outside the ramps its weight is one
        block[:, :above] = total(Window(0, 0, width, above))
        block[:, above:, :left] = total(Window(0, above, left, height - above))
        right = total(Window(width, 0, column.end - column.last, row.end - row.first))
        if row.end > row.last:
            self._below[:, :, column.first : column.last] = total(Window(0, height, width, row.end - row.last))
        self._right = right
        return block

    def final(self, i: int, j: int) -> Window:
        """Return the final pixels of window (i, j)."""
        row, column = self.rows[i], self.columns[j]
        return Window(column.first, row.first, column.last - column.first, row.last - row.first)

    def _ramps(self, i: int, j: int) -> tuple[int, int]:
        """Return the widths in pixels of the ramps to the upper and to the left neighbour."""
        return self._below.shape[1] if i else 0, self._right.shape[2] if j else 0

    def _weighted(self, row: Span, column: Span, probability: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Cut the window to its pixels with weight."""
        if probability is None:
            size = row.end - row.first, column.end - column.first
            return np.zeros((self._below.shape[0], *size), np.float32)
        down, across = (slice(s.first - s.start, s.end - s.start) for s in (row, column))
        return probability[:, down, across]

    def _total(self, i: int, j: int, seen: NDArray[np.float32], part: Window) -> NDArray[np.float64]:
        """Return the weighted sum so far in a part of the window."""
        row, column, (down, across) = self.rows[i], self.columns[j], part.slices
        weights = (
            row.weights[row.first - row.start :][down, None],
            column.weights[column.first - column.start :][across],
        )
        total = np.multiply(seen[:, down, across], weights[0], dtype=np.float64)
        total *= weights[1]
        above, left = self._ramps(i, j)
        wide = max(0, min(left, across.stop) - across.start)
        if wide:
            total[:, :, :wide] += self._right[:, down, across.start : across.start + wide]
        high = max(0, min(above, down.stop) - down.start)
        ramp = self._below[:, down.start : down.start + high, column.first : column.last][:, :, across]
        total[:, :high, : ramp.shape[2]] += ramp
        return total


@dataclass(frozen=True)
class _Piece:
    """One window on its way.

    Attributes:
        row: of windows.
        column: of windows.
        picture: uint8 (h, w, C) of the whole window; None: no data.
        valid: bool, of its final pixels.
    """

    row: int
    column: int
    picture: NDArray[np.uint8] | None
    valid: NDArray[np.bool_]


def predict_windows(
    scene: Scene, forward: Forward, canvas: Canvas, *, tiling: Tiling, progress: Callable[[int], None]
) -> None:
    """Predict the rows of windows in `canvas.todo`.

    Args:
        scene: open raster.
        forward: the network, from raw pictures to probabilities.
        canvas: takes the probabilities, (K, height, width) of the scene, in the rows of `tiling`.
        tiling: windows in pixels of the scene.
        progress: called with the number of final pixels so far, of all processes.

    Raises:
        SourceError: the raster is corrupt or gone; finished rows stay on the canvas, and a later call resumes.
    """
    blender = Blender(tiling.spans(scene.height), tiling.spans(scene.width), canvas.shape[0])
    store = _Store(blender, canvas, progress)
    batches = (batch for row in _with_rows_above(canvas.todo) for batch in _batches(scene, blender, row, tiling.batch))
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as storing:
        pending: deque[Future[None]] = deque()
        for pieces in _ahead(reading, batches):
            probability = _predict(forward, pieces)
            pending.append(storing.submit(store.add, pieces, probability))
            while len(pending) > 1:  # one is stored while the next is predicted
                pending.popleft().result()
        for last in pending:
            last.result()


def _with_rows_above(todo: Sequence[int]) -> list[int]:
    """Add to each row the one above: its ramp reaches into the row."""
    return sorted({*todo, *(row - 1 for row in todo if row)})


def _batches(scene: Scene, blender: Blender, row: int, size: int) -> Iterator[list[_Piece]]:
    """Read one row of windows from left to right, in batches of at most `size` pictures."""
    pieces: list[_Piece] = []
    for j in range(len(blender.columns)):
        pieces.append(_read(scene, blender, row, j))
        if sum(piece.picture is not None for piece in pieces) == size or len(pieces) >= 4 * size:
            yield pieces
            pieces = []
    if pieces:
        yield pieces


def _read(scene: Scene, blender: Blender, i: int, j: int) -> _Piece:
    row, column = blender.rows[i], blender.columns[j]
    window = Window(column.start, row.start, len(column.weights), len(row.weights))
    picture, valid = scene.read(window)
    weighted = valid[tuple(slice(s.first - s.start, s.end - s.start) for s in (row, column))]
    final = weighted[: row.last - row.first, : column.last - column.first]
    return _Piece(i, j, picture if weighted.any() else None, final)


def _predict(forward: Forward, pieces: list[_Piece]) -> Iterator[NDArray[np.float32]]:
    pictures = [piece.picture for piece in pieces if piece.picture is not None]
    return iter(forward(np.stack(pictures)) if pictures else ())


class _Store:
    """Blend and store rows to do; any other row is blended only for its ramp into the next."""

    def __init__(self, blender: Blender, canvas: Canvas, progress: Callable[[int], None]) -> None:
        self._blender, self._canvas, self._progress = blender, canvas, progress
        self._todo = set(canvas.todo)
        self._final = canvas.finished()
        progress(self._final)

    def add(self, pieces: list[_Piece], probability: Iterator[NDArray[np.float32]]) -> None:
        """Add the next pieces, with the probabilities of those with a picture."""
        for piece in pieces:
            answer = None if piece.picture is None else next(probability)
            block = self._blender.add(piece.row, piece.column, answer)
            if piece.row in self._todo:
                self._canvas.write(self._blender.final(piece.row, piece.column), stored(block, piece.valid))
                self._final += piece.valid.size
                if piece.column == len(self._blender.columns) - 1:
                    self._canvas.commit(piece.row)
                    self._final = self._canvas.finished()
            self._progress(self._final)


def _ahead(pool: ThreadPoolExecutor, items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, always making the next one in the pool meanwhile."""
    ahead = pool.submit(next, items, None)
    while (item := ahead.result()) is not None:
        ahead = pool.submit(next, items, None)
        yield item
