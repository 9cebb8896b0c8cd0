"""Pixel scores: four counts, summed over a whole split, and five ratios of them.

Averages over batches or pictures would depend on the division of the split.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Whole = int | np.int64 | NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """True positives, false positives, false negatives and true negatives.

    Plain ints, or int64 arrays of one shape: (K,) for K categories, (N, K) for N pictures. Added with `+`;
    `sum(many, Counts())` adds many.
    """

    tp: Whole = 0
    fp: Whole = 0
    fn: Whole = 0
    tn: Whole = 0

    def __add__(self, other: Counts) -> Counts:
        """Add pixel by pixel count, as if both had been counted in one go."""
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def total(self) -> Counts:
        """Sum over all axes (categories, pictures): plain ints."""
        return Counts(*(int(np.sum(getattr(self, f.name))) for f in fields(self)))


def count(prediction: NDArray[Any], mask: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Counts:
    """Count the pixels of one picture.

    Args:
        prediction: bool or uint8 (H, W) or (K, H, W), 1 = roof.
        mask: the truth, in the same shape.
        valid: bool (H, W), False for pixels not judged; None: all are judged.

    Returns:
        Counts of int64: 0-dimensional for (H, W), of shape (K,) for (K, H, W).

    Raises:
        ValueError: the shapes differ. Broadcasting would count pixels twice.
    """
    if prediction.shape != mask.shape or (valid is not None and valid.shape != mask.shape[-2:]):
        shapes = prediction.shape, mask.shape, None if valid is None else valid.shape
        raise ValueError(f"prediction, mask and valid differ in shape: {shapes}")
    said, true = prediction.astype(bool, copy=False), mask.astype(bool, copy=False)
    judged = np.ones(mask.shape[-2:], dtype=bool) if valid is None else valid
    hit = _pixels(said & true & judged)
    said_all, true_all = _pixels(said & judged), _pixels(true & judged)
    rest = _pixels(judged) - said_all - true_all + hit
    return Counts(tp=hit, fp=said_all - hit, fn=true_all - hit, tn=rest)


def ratios(counts: Counts) -> dict[str, Floats]:
    """Divide element by element: iou, f1, precision, recall, accuracy; float64 in [0, 1] each.

    A ratio of 0 / 0 is 1 if truth and prediction are both empty, else 0: finding none of the roofs gives precision
    0, inventing roofs on empty ground gives recall 0.
    """
    tp, fp, fn, tn = (np.asarray(getattr(counts, f.name), dtype=np.float64) for f in fields(counts))
    empty = np.where(tp + fp + fn == 0, 1.0, 0.0)
    return {
        "iou": divide(tp, tp + fp + fn, empty),
        "f1": divide(2 * tp, 2 * tp + fp + fn, empty),
        "precision": divide(tp, tp + fp, empty),
        "recall": divide(tp, tp + fn, empty),
        "accuracy": divide(tp + tn, tp + fp + fn + tn, np.ones_like(tp)),
    }


def scores(counts: Counts) -> dict[str, float]:
    """Score all categories and pictures together: iou, f1, precision, recall, accuracy, each in [0, 1]."""
    return {name: float(value) for name, value in ratios(counts.total()).items()}


def divide(above: Floats, below: Floats, otherwise: Floats) -> Floats:
    """Divide element by element, with `otherwise` for division by 0; float64 arrays of one shape."""
    return np.divide(above, below, out=np.array(otherwise, dtype=np.float64), where=below != 0)


def _pixels(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(where, axis=(-2, -1)), dtype=np.int64)
