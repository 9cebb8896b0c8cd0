"""Prediction of a scene of any size at constant memory: read, predict, blend and store, all at the same time.

Windows are read in one thread, predicted in the caller's, blended and stored in a third; at most two batches wait
on either side. A batch never crosses rows of windows, so that a run which goes on after a stop, or shares the rows out
among processes, sees the same batches as one that does all at once, and stores the same bytes.
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
from rooftop.raster.scene import Scene
from rooftop.raster.steps import stored
from rooftop.raster.windows import Span, Window, spans


class Blender:
    """Weighs and adds up overlapping windows.

    Args:
        rows: windows from top to bottom.
        columns: windows from left to right.
        bands: K, number of probabilities a pixel has.
    """

    def __init__(self, rows: list[Span], columns: list[Span], bands: int) -> None:
        self.rows, self.columns = rows, columns
        ramp = rows[0].end - rows[0].last
        self._below = np.zeros((bands, ramp, columns[-1].last))
        self._right = np.zeros((bands, 0, 0))

    def add(self, i: int, j: int, probability: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Add window j of row i; the first row that is added starts from nothing above it.

        Args:
            i: row of windows.
            j: window in its row; call with 0, 1, 2 ...
            probability: float32 (K, h, w) of the whole window; None where the window has no data.

        Returns:
            float32 (K, ...) of the pixels that are final now, `final(i, j)`.
        """
        row, column = self.rows[i], self.columns[j]
        height, width = row.last - row.first, column.last - column.first
        seen = self._seen(row, column, probability)
        total = partial(self._total, i, j, seen)
        above, left = self._ramps(i, j)
        block: NDArray[np.float32] = seen[:, :height, :width].copy()  # its weight is one but for the ramps
        block[:, :above] = total(Window(0, 0, width, above))
        block[:, above:, :left] = total(Window(0, above, left, height - above))
        right = total(Window(width, 0, column.end - column.last, row.end - row.first))
        if row.end > row.last:
            self._below[:, :, column.first : column.last] = total(Window(0, height, width, row.end - row.last))
        self._right = right
        return block

    def final(self, i: int, j: int) -> Window:
        """The pixels that are final once window (i, j) is added."""
        row, column = self.rows[i], self.columns[j]
        return Window(column.first, row.first, column.last - column.first, row.last - row.first)

    def _ramps(self, i: int, j: int) -> tuple[int, int]:
        """Pixels from the top, and from the left, that neighbours have a share in."""
        return self._below.shape[1] if i else 0, self._right.shape[2] if j else 0

    def _seen(self, row: Span, column: Span, probability: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """The window where it has weight."""
        if probability is None:
            size = row.end - row.first, column.end - column.first
            return np.zeros((self._below.shape[0], *size), np.float32)
        down, across = (slice(s.first - s.start, s.end - s.start) for s in (row, column))
        return probability[:, down, across]

    def _total(self, i: int, j: int, seen: NDArray[np.float32], part: Window) -> NDArray[np.float64]:
        """The sum so far in a part of what is seen."""
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


Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (B, H, W, C) to float32 (B, K, H, W) in [0, 1]."""
T = TypeVar("T")
_LARGEST = 4096  # pixels, side of a window of a scene that is scaled down


@dataclass(frozen=True)
class Tiling:
    """How a scene is cut.

    Attributes:
        window: side of a window in pixels.
        overlap: of neighbouring windows in pixels, at most half a window.
        batch: windows that are predicted together.
    """

    window: int
    overlap: int
    batch: int

    def scaled(self, factor: float) -> "Tiling":
        """The same ground in pixels that are smaller by `factor`: scaled back, windows are as large as before.

        They do not grow beyond a size that fits into memory several times.
        """
        window = min(round(self.window * factor), max(self.window, _LARGEST))
        return Tiling(window, min(round(self.overlap * factor), window // 2), self.batch)

    def narrowed(self, factor: float) -> "Tiling":
        """Windows that need the memory of these when they are seen larger by `factor`; the overlap stays."""
        window = max(1, round(self.window / factor))
        return Tiling(window, min(self.overlap, window // 2), self.batch)

    def spans(self, side: int) -> list[Span]:
        """Rows, or columns, of windows over a side of so many pixels."""
        return spans(side, self.window, self.overlap)

    def ends(self, height: int) -> list[int]:
        """One past the last row of pixels that each row of windows makes final."""
        return [row.last for row in self.spans(height)]


@dataclass(frozen=True)
class _Piece:
    """One window on its way: where, what the network sees (None = no data at all), what is valid where final."""

    row: int
    column: int
    picture: NDArray[np.uint8] | None
    valid: NDArray[np.bool_]


def predict_windows(
    scene: Scene, forward: Forward, canvas: Canvas, *, tiling: Tiling, progress: Callable[[int], None]
) -> None:
    """Predict the rows of windows that `canvas` has to do.

    Args:
        scene: open raster.
        forward: the network, raw pictures in, probabilities out.
        canvas: where probabilities go; (K, height, width) of the scene, in the rows of `tiling`.
        tiling: how the scene is cut.
        progress: told how many pixels are final so far, whoever made them so.

    Raises:
        SourceError: the raster is corrupt somewhere or vanished; what is on the canvas stays and can be gone on with.
    """
    blender = Blender(tiling.spans(scene.height), tiling.spans(scene.width), canvas.shape[0])
    store = _Store(blender, canvas, progress)
    batches = (batch for row in _with_rows_above(canvas.todo) for batch in _batches(scene, blender, row, tiling.batch))
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as storing:
        waiting: deque[Future[None]] = deque()
        for pieces in _ahead(reading, batches):
            probability = _predict(forward, pieces)
            waiting.append(storing.submit(store.add, pieces, probability))
            while len(waiting) > 2:
                waiting.popleft().result()
        for last in waiting:
            last.result()


def _with_rows_above(todo: Sequence[int]) -> list[int]:
    """Rows to do, each with the one above it, which gives the ramp into it."""
    return sorted({*todo, *(row - 1 for row in todo if row)})


def _batches(scene: Scene, blender: Blender, row: int, size: int) -> Iterator[list[_Piece]]:
    """Pieces of one row of windows from left to right, in lists of `size` pictures at most."""
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
    weighed = valid[tuple(slice(s.first - s.start, s.end - s.start) for s in (row, column))]
    final = weighed[: row.last - row.first, : column.last - column.first]
    return _Piece(i, j, picture if weighed.any() else None, final)


def _predict(forward: Forward, pieces: list[_Piece]) -> Iterator[NDArray[np.float32]]:
    pictures = [piece.picture for piece in pieces if piece.picture is not None]
    return iter(forward(np.stack(pictures)) if pictures else ())


class _Store:
    """Blends and stores; rows that are not to do are blended only for their ramp into the next."""

    def __init__(self, blender: Blender, canvas: Canvas, progress: Callable[[int], None]) -> None:
        self._blender, self._canvas, self._progress = blender, canvas, progress
        self._todo = set(canvas.todo)
        self._final = canvas.finished()
        progress(self._final)

    def add(self, pieces: list[_Piece], probability: Iterator[NDArray[np.float32]]) -> None:
        """Take the next pieces, and probabilities of those that have a picture."""
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
    """The same items, the next one always in the making."""
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, items, None)
        yield item
