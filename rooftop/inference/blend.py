"""Windows blend into final blocks, at the memory of one row of ramps.

Windows come in reading order, row by row. Each leaves a block that no later window touches; what still waits for
its right or lower neighbour is one ramp wide. Only ramps are weighed and added up: all else is copied as it is.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.windows import Span, Window


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
