"""Prediction of a scene of any size at constant memory: read, predict, blend and store, all at the same time.

Windows are read in one thread, predicted in the caller's, blended and stored in a third; at most two batches wait
on either side. A batch never crosses rows of windows, so that a run which goes on after a stop sees the same
batches as one that never stopped, and stores the same bytes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rooftop.inference.blend import Blender
from rooftop.inference.canvas import Canvas
from rooftop.raster.geotiff import Scene
from rooftop.raster.steps import stored
from rooftop.raster.windows import Window, spans

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


@dataclass(frozen=True)
class _Piece:
    """One window on its way: where, what the network sees (None = no data at all), what is valid where final."""

    row: int
    column: int
    picture: NDArray[np.uint8] | None
    valid: NDArray[np.bool_]


def predict_scene(
    scene: Scene, forward: Forward, canvas: Canvas, *, tiling: Tiling, progress: Callable[[int], None]
) -> int:
    """Predict what `canvas` lacks of a scene.

    Args:
        scene: open raster.
        forward: the network, raw pictures in, probabilities out.
        canvas: where probabilities go; (K, height, width) of the scene.
        tiling: how the scene is cut.
        progress: told the number of pixels that became final, those of an interrupted run first.

    Returns:
        The number of pixels that became final now.

    Raises:
        SourceError: the raster is corrupt somewhere or vanished; what is on the canvas stays and can be gone on with.
    """
    rows, columns = (spans(side, tiling.window, tiling.overlap) for side in (scene.height, scene.width))
    blender = Blender(rows, columns, canvas.shape[0])
    first = canvas.rows
    before = rows[first - 1].last * scene.width if first else 0
    progress(before)
    if first == len(rows):
        return 0
    batches = _batches(scene, blender, max(first - 1, 0), tiling.batch)
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as storing:
        waiting: deque[Future[None]] = deque()
        for pieces in _ahead(reading, batches):
            probability = _predict(forward, pieces)
            waiting.append(storing.submit(_store, pieces, probability, (blender, canvas, first, progress)))
            while len(waiting) > 2:
                waiting.popleft().result()
        for last in waiting:
            last.result()
    return scene.height * scene.width - before


def _batches(scene: Scene, blender: Blender, first: int, size: int) -> Iterator[list[_Piece]]:
    """Pieces in reading order from row `first` on; a list ends with its row, or once it has `size` pictures."""
    for i in range(first, len(blender.rows)):
        pieces: list[_Piece] = []
        for j in range(len(blender.columns)):
            pieces.append(_read(scene, blender, i, j))
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


def _store(
    pieces: list[_Piece],
    probability: Iterator[NDArray[np.float32]],
    into: tuple[Blender, Canvas, int, Callable[[int], None]],
) -> None:
    """Blend and store; rows before the first missing one are blended only for their ramp into the next."""
    blender, canvas, first, progress = into
    for piece in pieces:
        answer = None if piece.picture is None else next(probability)
        block = blender.add(piece.row, piece.column, answer)
        if piece.row >= first:
            canvas.write(blender.final(piece.row, piece.column), stored(block, piece.valid))
            progress(piece.valid.size)
            if piece.column == len(blender.columns) - 1:
                canvas.commit(piece.row + 1)


def _ahead(pool: ThreadPoolExecutor, items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one always in the making."""
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, items, None)
        yield item
