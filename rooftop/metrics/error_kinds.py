"""Sort the errors of one picture by kind: a guide to the next improvement.

A true roof is, in this order of preference,
    found     met by a prediction at IoU 0.5 or more, of masks and of boundary bands
    merged    at least half covered by a prediction; the same prediction covers half of another true roof
    ragged    met at IoU 0.5 or more of masks, but less of boundary bands: the outline is off
    split     at least half covered by two or more predictions, each at least half on it
    missed    none of these
A prediction without match and without part in merging or splitting is a `fragment` if at least half of it is on
true roofs, else `invented`. Predictions on a crowd are neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.metrics.objects import Bools, Found, Truth, boundary_iou, mask_iou

KINDS = ("found", "merged", "ragged", "split", "missed")
HALF = 0.5


@dataclass(frozen=True)
class Sorted:
    """Kinds of true roofs without crowds, indices into KINDS, int64 (G,); kinds of predictions, bool (D,) each."""

    kinds: NDArray[np.int64]
    invented: Bools
    fragments: Bools


def sort_errors(found: Found, truth: Truth) -> Sorted:
    """Sort the roofs of one picture and category."""
    real = [rle for rle, crowd in zip(truth.rles, truth.crowd, strict=True) if not crowd]
    crowds = [rle for rle, crowd in zip(truth.rles, truth.crowd, strict=True) if crowd]
    plain = np.zeros(len(real), dtype=bool)
    iou = mask_iou(found.rles, real, plain)
    met = iou >= HALF
    neat = boundary_iou(found.rles, real, iou, plain, HALF) >= HALF
    lies_on = mask_iou(found.rles, real, ~plain)  # share of each prediction on each true roof
    covers = mask_iou(real, found.rles, np.ones(len(found.rles), dtype=bool)).T  # share of each true roof
    merging = (covers >= HALF).sum(axis=1) >= 2
    merged = ((covers >= HALF) & merging[:, None]).any(axis=0)
    parts = lies_on >= HALF
    split = (parts.sum(axis=0) >= 2) & ((covers * parts).sum(axis=0) >= HALF)
    kinds = _first_true([neat.any(axis=0), merged, met.any(axis=0), split])
    is_split = kinds == KINDS.index("split")
    rest = ~(met.any(axis=1) | merging | (parts & is_split).any(axis=1) | _on_crowd(found, crowds))
    on_truth = lies_on.sum(axis=1) >= HALF
    return Sorted(kinds, rest & ~on_truth, rest & on_truth)


def _first_true(conditions: Sequence[Any]) -> NDArray[np.int64]:
    """Return the index of the first true condition (each bool (n,)), or their number if none is true; int64 (n,)."""
    return np.asarray(np.argmax([*conditions, np.ones_like(conditions[0])], axis=0), dtype=np.int64)


def _on_crowd(found: Found, crowds: list[dict[str, object]]) -> Bools:
    return np.asarray((mask_iou(found.rles, crowds, np.ones(len(crowds), dtype=bool)) >= HALF).any(axis=1))
