"""Precision-recall curve, average precision, best threshold and calibration, all from one histogram.

Counts of pixels per class and bin of probability are added over pictures at constant memory: 24 KiB for a split of
any size. A pixel counts as roof if probability >= threshold; at a bin's lower edge, k / 1024, the counts are exact
(scaling by a power of two does not round).

Average precision is the step-wise sum of Manning et al. 2008 (ch. 8), as in scikit-learn, not the trapezoid.
Calibration follows Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning":
of the probability of roof (not of the winning class, as Guo et al. 2017), in 16 equally wide bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.metrics.pixel import Counts, Floats, divide, ratios

BINS = 1024
CALIBRATION_BINS = 16

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Histogram:
    """Pixels per bin of probability, each (1024,): not roof, roof (int64), summed probability (float64)."""

    negative: Ints = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    positive: Ints = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    mass: Floats = field(default_factory=lambda: np.zeros(BINS))

    def __add__(self, other: Histogram) -> Histogram:
        """Add bin by bin; `sum(many, Histogram())` adds many."""
        return Histogram(self.negative + other.negative, self.positive + other.positive, self.mass + other.mass)


def histogram(
    probability: NDArray[np.floating[Any]], mask: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> Histogram:
    """Sort the judged pixels of one picture into bins.

    Args:
        probability: float (H, W) in [0, 1]; NaN is refused.
        mask: uint8 or bool (H, W), 1 = roof.
        valid: bool (H, W), False for pixels not judged; None: all are judged.

    Raises:
                ValueError: a probability outside [0, 1], or different shapes.
    """
    if probability.shape != mask.shape or (valid is not None and valid.shape != mask.shape):
        raise ValueError(f"probability {probability.shape} and mask {mask.shape} (or valid) differ in shape")
    judged = np.ones(mask.shape, dtype=bool) if valid is None else valid
    p, true = probability[judged], mask[judged].astype(bool)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("probabilities must lie in [0, 1]")
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    both = np.bincount(bins + BINS * true, minlength=2 * BINS)
    return Histogram(both[:BINS], both[BINS:], _summed(bins, p))


def thresholds() -> Floats:
    """List the thresholds of a curve: the bins' lower edges, float64 (1024,), rising from 0."""
    return np.arange(BINS) / BINS


def counts_at(found: Histogram) -> Counts:
    """Count as if the split had been cut at each of `thresholds()`: int64 (1024,)."""
    tp, fp = _at_least(found.positive), _at_least(found.negative)
    return Counts(tp=tp, fp=fp, fn=found.positive.sum() - tp, tn=found.negative.sum() - fp)


def precision_recall(found: Histogram) -> tuple[Floats, Floats]:
    """Draw the curve: precision and recall at each of `thresholds()`, float64 (1024,), recall falling."""
    at = ratios(counts_at(found))
    return at["precision"], at["recall"]


def average_precision(found: Histogram) -> float:
    """Sum precision times the step in recall, from the strictest threshold down; NaN if no pixel is roof."""
    if not found.positive.any():
        return float("nan")
    precision, recall = precision_recall(found)
    return float(np.sum(-np.diff(recall, append=0.0) * precision))


def best_threshold(found: Histogram) -> float:
    """Find the threshold in (0, 1) of the highest IoU, and so of the highest F1 (F1 = 2 IoU / (1 + IoU)).

    Of equal ones, the nearest to 0.5. Choose it on validation, never on test.
    """
    iou, cut = ratios(counts_at(found))["iou"][1:], thresholds()[1:]
    best = cut[iou == iou.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def reliability(found: Histogram) -> tuple[Floats, Floats, Ints]:
    """Compare prediction and truth per bin: mean probability, share of roof, pixels; each (16,).

    Both are NaN in bins without pixels.
    """
    negative, positive = _coarse(found.negative), _coarse(found.positive)
    pixels, unknown = negative + positive, np.full(CALIBRATION_BINS, np.nan)
    below = pixels.astype(np.float64)
    said = divide(_coarse(found.mass), below, unknown)
    return said, divide(positive.astype(np.float64), below, unknown), pixels


def calibration_error(found: Histogram) -> float:
    """Average |mean probability - share of roof| over the pixels: expected calibration error, in [0, 1]."""
    said, true, pixels = reliability(found)
    filled = pixels > 0
    return float(np.average(np.abs(said - true)[filled], weights=pixels[filled])) if filled.any() else 0.0


def _at_least(per_bin: Ints) -> Ints:
    return np.cumsum(per_bin[::-1])[::-1]


def _summed(bins: Ints, p: NDArray[np.floating[Any]]) -> Floats:
    return np.bincount(bins, weights=p.astype(np.float64), minlength=BINS).astype(np.float64, copy=False)


def _coarse(per_bin: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(per_bin.reshape(CALIBRATION_BINS, -1).sum(axis=1))
