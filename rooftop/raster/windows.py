"""Sliding windows over a raster, and weights to blend them: an exact partition of unity.

Along each axis neighbouring windows overlap by at least `overlap` pixels. A ramp half as wide leads from one to the
next in the middle of their overlap. Pixels near a window's own border get weight 0: a network has the least context
there. Weights are differences of neighbouring ramps: their sum
telescopes to one.

Exactly one, not nearly: ramps are multiples of 1/2048, the product of two weights has at most 22 bits, and a
float32 probability times that is exact in float64. Equal predictions come back unchanged, bit for bit.

    length 110, window 64, overlap 16  ->  starts 0, 46; ramp of 8 pixels from 51 to 59
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WHOLE = 2048 * 2048  # pixels that a network may see in one pass; a picture of more is cut into windows
_STEPS = 2048  # a ramp's values are multiples of 1 / _STEPS


@dataclass(frozen=True)
class Window:
    """A rectangle of a raster, in pixels."""

    column: int
    row: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (H, W)."""
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)


def tiles(height: int, width: int, size: int) -> Iterator[Window]:
    """Cut a raster into squares of `size` pixels, row by row; the last ones are smaller."""
    for row in range(0, height, size):
        for column in range(0, width, size):
            yield Window(column, row, min(size, width - column), min(size, height - row))


@dataclass(frozen=True)
class Span:
    """One window along one axis; pixels counted from the raster's border.

    Attributes:
        start: first pixel of the window.
        weights: float64 (window length,), the window's share of each of its pixels.
        first: first pixel completed by this window (pixels before are complete already).
        last: one past the last pixel completed by this window.
        end: one past the last pixel with weight; [last, end) is the ramp to the next window.
    """

    start: int
    weights: NDArray[np.float64]
    first: int
    last: int
    end: int


def spans(length: int, window: int, overlap: int) -> list[Span]:
    """Cover an axis of `length` pixels with evenly spread windows, overlapping by `overlap` or more.

    A raster shorter than the window gets one window of its own length.

    Raises:
        ValueError: the overlap is negative or more than half of the window.
    """
    if not 0 <= 2 * overlap <= window:
        raise ValueError(f"overlap={overlap} must lie between 0 and half of window={window}.")
    window = min(window, length)
    starts = _starts(length, window, overlap)
    ramp = overlap // 2
    cuts = [_ramp_start(left, right, window, ramp) for left, right in pairwise(starts)]
    bounds = [*pairwise([0, *cuts, length])]
    return [
        _span(start, window, bound=bound, ramp=ramp, length=length) for start, bound in zip(starts, bounds, strict=True)
    ]


def _starts(length: int, window: int, overlap: int) -> list[int]:
    if length <= window:
        return [0]
    count = -(-(length - overlap) // (window - overlap))
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def _ramp_start(left: int, right: int, window: int, ramp: int) -> int:
    """First pixel of the ramp in the middle of the overlap [right, left + window)."""
    return (right + left + window - ramp) // 2


def _span(start: int, window: int, *, bound: tuple[int, int], ramp: int, length: int) -> Span:
    pixels = np.arange(start, start + window)
    first, last = bound
    rise = np.ones(window) if first == 0 else _rise(pixels - first, ramp)
    fall = np.zeros(window) if last == length else _rise(pixels - last, ramp)
    return Span(start, rise - fall, first, last, length if last == length else last + ramp)


def _rise(distance: NDArray[np.int64], ramp: int) -> NDArray[np.float64]:
    """0 before the ramp, 1 behind it, multiples of 1 / _STEPS between; `distance` to its first pixel."""
    between = np.rint((distance + 0.5) / max(ramp, 1) * _STEPS) / _STEPS
    return np.where(distance < 0, 0.0, np.where(distance >= ramp, 1.0, between))
