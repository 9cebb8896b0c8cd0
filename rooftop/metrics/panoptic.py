"""Panoptic quality of roofs: PQ = SQ x RQ (Kirillov et al. 2019, "Panoptic Segmentation", arXiv 1801.00868).

A predicted and a true roof match if their IoU is above 0.5. SQ is the mean IoU of the matches, RQ the F1 of roofs. Sums
are taken over all pictures, category by category; each score is the mean over categories.

As in the authors' panopticapi, crowds match nothing, an unmatched prediction with more than half of its area on crowds
does not count, and a category without any true or predicted roof has no part in the mean. Ground without data counts as
a crowd; the paper takes it off each prediction first. In the paper segments do not overlap, so none has two matches.
Predicted roofs may overlap a little: the best pairs match first, each roof once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rooftop.metrics.objects import Bools, Overlaps
from rooftop.metrics.pixel import Floats

HALF = 0.5


def count_panoptic(pair: Overlaps) -> Floats:
    """Sum up one picture and category.

    Args:
        pair: predicted and true roofs with their IoU.

    Returns:
        float64 (4,): summed IoU of the matches, matches, predictions without match, true roofs without match; rows of
        several pictures add up.
    """
    crowd = pair.truth.crowd
    iou = pair.iou[:, ~crowd]
    found, true = _best_pairs(iou)
    counted = pair.iou[:, crowd].sum(axis=1) <= HALF  # the IoU with a crowd is the share of the prediction on it
    counted[found] = True
    matches = len(found)
    return np.array(
        [iou[found, true].sum(), matches, counted.sum() - matches, iou.shape[1] - matches], dtype=np.float64
    )


def panoptic_each(sums: Floats) -> dict[str, Floats]:
    """Divide category by category.

    Args:
        sums: float64 (..., 4), see `count_panoptic`.

    Returns:
        pq, sq and rq in [0, 1], float64 (...); NaN without any roof, true or predicted; sq is 0 without a match.
    """
    iou, matches, invented, missed = np.moveaxis(sums, -1, 0)
    roofs = matches + (invented + missed) / 2
    unknown = np.where(roofs == 0, np.nan, 0.0)
    return {
        "pq": np.divide(iou, roofs, out=unknown.copy(), where=roofs != 0),
        "sq": np.divide(iou, matches, out=unknown.copy(), where=matches != 0),
        "rq": np.divide(matches, roofs, out=unknown.copy(), where=roofs != 0),
    }


def panoptic_scores(sums: Floats) -> dict[str, Floats]:
    """Average over the categories with roofs: sums float64 (..., K, 4) to pq, sq and rq, (...); NaN without any."""
    return {name: _mean_of_known(values) for name, values in panoptic_each(sums).items()}


def _best_pairs(iou: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair predicted and true roofs of an IoU above a half, the best pairs first, each roof at most once."""
    found, true = np.nonzero(iou > HALF)
    free_found: Bools = np.ones(iou.shape[0], dtype=bool)
    free_true: Bools = np.ones(iou.shape[1], dtype=bool)
    kept = []
    for i in np.argsort(-iou[found, true], kind="stable"):
        if free_found[found[i]] and free_true[true[i]]:
            free_found[found[i]] = free_true[true[i]] = False
            kept.append(i)
    return found[kept], true[kept]


def _mean_of_known(values: Floats) -> Floats:
    """Average float64 (..., K) over the last axis without NaN; NaN if none is known."""
    known = ~np.isnan(values)
    number = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, number, out=np.full(np.shape(total), np.nan), where=number != 0))
