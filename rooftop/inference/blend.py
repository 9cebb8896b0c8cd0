"""Windows blend into final blocks, at the memory of one row of ramps.

Windows come in reading order, row by row. Each leaves a block that no later window touches; what still waits for
its right or lower neighbour is one ramp wide.
"""

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
        total = self._share(row, column, probability)
        if j:
            total[:, :, : self._right.shape[2]] += self._right
        above = self._below[:, :, column.first : column.last]
        if i:
            total[:, : above.shape[1], :width] += above
        self._right = total[:, :, width:].copy()
        if row.end > row.last:
            above[:] = total[:, height:, :width]
        return total[:, :height, :width].astype(np.float32)

    def final(self, i: int, j: int) -> Window:
        """The pixels that are final once window (i, j) is added."""
        row, column = self.rows[i], self.columns[j]
        return Window(column.first, row.first, column.last - column.first, row.last - row.first)

    def _share(self, row: Span, column: Span, probability: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """The window's part of the sum over all pixels where it has weight."""
        if probability is None:
            size = row.end - row.first, column.end - column.first
            return np.zeros((self._below.shape[0], *size))
        down, across = (slice(s.first - s.start, s.end - s.start) for s in (row, column))
        weighed = np.multiply(probability[:, down, across], row.weights[down, None], dtype=np.float64)
        return np.multiply(weighed, column.weights[across], out=weighed)
