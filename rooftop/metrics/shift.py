"""Pixels after the best shift: how well prediction and truth agree if the whole prediction may move by up to 3 m.

Labels are often drawn on another picture than the scored one, and lie beside the roofs. Of all offsets by whole pixels
the one of highest IoU is taken, on ground judged in both; of equal ones the shortest. The pixels in common at all
offsets are cross-correlations of masks, computed exactly by Fourier transform (Padfield 2012, "Masked Object
Registration in the Fourier Domain").

An IoU after this shift is the best of many, so too good by construction. It shows how much of an error can be a shift;
it is no substitute for the IoU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from rooftop.metrics.pixel import Counts, Floats, count, divide

MAX_SHIFT = 3.0  # metres
STRIP = 1024  # rows transformed at once, to bound the memory

COLUMNS = ("tp", "fp", "fn", "tn", "right", "down", "aligned", "metres")

Bools = NDArray[np.bool_]
Offset = tuple[int, int]  # pixels to the right and down


def count_shifted(prediction: NDArray[Any], mask: NDArray[Any], valid: Bools, *, gsd: float | None) -> Floats:
    """Count the pixels of one picture after the best shift.

    Args:
        prediction: bool or uint8 (K, H, W), 1 = roof.
        mask: the truth, in the same shape.
        valid: bool (H, W), False for pixels not judged.
        gsd: metres per pixel; None if unknown.

    Returns:
        float64 (8,), one for each of COLUMNS; rows of several pictures add up. tp, fp, fn, tn: of all categories
        together. right, down: offset of the prediction in pixels. aligned: 1 if the two have a pixel of roof in common.
        metres: length of the offset. NaN if gsd is unknown.
    """
    if gsd is None:
        return np.full(len(COLUMNS), np.nan)
    right, down = best_shift(prediction, mask, valid, reach=MAX_SHIFT / gsd)
    counts = count_moved(prediction, mask, valid, (right, down)).total()
    pixels = (counts.tp, counts.fp, counts.fn, counts.tn)
    return np.array([*pixels, right, down, counts.tp > 0, gsd * math.hypot(right, down)], dtype=np.float64)


def shift_scores(sums: Floats) -> dict[str, Floats]:
    """Divide the sums of a split, float64 (..., 8): IoU (1 if all is empty), mean length of the shifts in metres."""
    of = dict(zip(COLUMNS, np.moveaxis(sums, -1, 0), strict=True))
    union = of["tp"] + of["fp"] + of["fn"]
    return {
        "iou": divide(of["tp"], union, np.ones_like(union)),
        "mean_shift_m": divide(of["metres"], of["aligned"], np.full_like(union, np.nan)),
    }


def median_shift(rows: Floats) -> float:
    """Return the median length of the shifts of pictures, float64 (N, 8), in metres; NaN if none is aligned."""
    lengths = rows[rows[:, COLUMNS.index("aligned")] == 1, COLUMNS.index("metres")]
    return float(np.median(lengths)) if lengths.size else float("nan")


def best_shift(prediction: NDArray[Any], mask: NDArray[Any], valid: Bools, *, reach: float) -> Offset:
    """Find the offset of the prediction at which its IoU with the truth is highest.

    Args:
        prediction: bool or uint8 (K, H, W), 1 = roof; all categories move together.
        mask: the truth, in the same shape.
        valid: bool (H, W), False for pixels not judged, neither of the prediction before its move nor of the truth.
        reach: length of the longest offset in pixels.

    Returns:
        Offset in pixels; (0, 0) if prediction and truth have no pixel in common at any offset.
    """
    found, true = prediction.astype(bool) & valid, mask.astype(bool) & valid
    if not found.any() or not true.any():
        return 0, 0
    radius = int(reach)
    hits, either = _in_common(true, found, valid, radius)
    steps = np.arange(-radius, radius + 1)
    length = np.hypot(steps[:, None], steps)
    iou = np.where(length <= reach, divide(hits, either - hits, np.zeros_like(hits)), 0.0)
    nearest_first = np.argsort(length, axis=None, kind="stable")
    best = int(nearest_first[np.argmax(iou.flat[nearest_first])])
    return int(steps[best % len(steps)]), int(steps[best // len(steps)])


def count_moved(prediction: NDArray[Any], mask: NDArray[Any], valid: Bools, offset: Offset) -> Counts:
    """Count as `pixel.count`, with the prediction moved by an offset, on ground judged in both; Counts of (K,)."""
    right, down = offset
    height, width = valid.shape
    rows, columns = _stays(down, height), _stays(right, width)
    new_rows, new_columns = _stays(-down, height), _stays(-right, width)
    judged = valid[rows, columns] & valid[new_rows, new_columns]
    return count(prediction[..., rows, columns], mask[..., new_rows, new_columns], judged)


def _stays(step: int, size: int) -> slice:
    """Return the part of an axis of that size that is still inside after a move by `step`."""
    return slice(max(-step, 0), max(size - max(step, 0), 0))


def _in_common(true: Bools, found: Bools, valid: Bools, radius: int) -> tuple[Floats, Floats]:
    """Count pixels of roof at each offset of the prediction, down and right from -radius to radius.

    Args:
        true: bool (K, H, W), on judged ground.
        found: the prediction, likewise.
        valid: bool (H, W), judged ground.
        radius: pixels.

    Returns:
        Pixels of roof in both; pixels of the one plus pixels of the other on ground judged in both. Each float64
        (2 radius + 1, 2 radius + 1), whole numbers.
    """
    height, width = valid.shape
    rows = min(height, STRIP)
    size = [fft.next_fast_len(length, real=True) for length in (rows + 2 * radius, width + radius)]
    still = np.concatenate([true, valid[None]])
    moved = np.pad(np.concatenate([found, valid[None]]), ((0, 0), (radius, radius), (0, 0)))
    spectra = np.zeros((2, size[0], size[1] // 2 + 1), dtype=np.complex128)
    for top in range(0, height, rows):
        strip = fft.rfft2(still[:, top : top + rows].astype(np.float64), size)
        around = fft.rfft2(moved[:, top : top + rows + 2 * radius].astype(np.float64), size).conj()
        spectra[0] += (strip[:-1] * around[:-1]).sum(axis=0)
        spectra[1] += strip[-1] * around[:-1].sum(axis=0) + strip[:-1].sum(axis=0) * around[-1]
    steps = np.arange(-radius, radius + 1)
    down = steps - radius  # `around` starts `radius` rows above `strip`
    hits, either = np.rint(fft.irfft2(spectra, size)[:, down[:, None], steps])
    return hits, either
