"""Match the objects of one picture as COCOeval does, at all thresholds and all ranges of size at once.

COCOeval walks area ranges x thresholds x found x true in Python. Here the ranges and thresholds are lanes
of one array, and only pairs that reach the lowest threshold are walked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftop.metrics.objects.overlap import Bools, Floats, Rle, boundary_iou, mask_areas, mask_iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = {  # square pixels
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}

_LOW, _HIGH = np.array(list(AREAS.values())).T
# Lanes run over area ranges first: lane = range * 10 + threshold.
_LANE_RANGE = np.repeat(np.arange(len(AREAS)), len(THRESHOLDS))
_LANE_IOU = np.tile(np.minimum(THRESHOLDS, 1 - 1e-10), len(AREAS))


@dataclass(frozen=True)
class Found:
    """Predicted objects of one picture and category: masks, and scores (D,), the higher the surer."""

    rles: list[Rle]
    scores: Floats


@dataclass(frozen=True)
class Truth:
    """True objects of one picture and category: masks, annotated areas in pixels (G,), `iscrowd` (G,)."""

    rles: list[Rle]
    areas: Floats
    crowd: Bools


@dataclass(frozen=True)
class Matched:
    """What the scores need of a picture: D predictions by falling score, 40 lanes (4 area ranges x 10 IoUs).

    scores float64 (D,); hit and ignored bool (40, D); positives int64 (4,), true objects in each area range.
    """

    scores: Floats
    hit: Bools
    ignored: Bools
    positives: NDArray[np.int64]


def match(found: Found, truth: Truth, *, max_dets: int, boundary: bool = False) -> Matched:
    """Match the `max_dets` surest predictions to the truth, each to the free true object it overlaps most.

    Args:
        found: predicted objects.
        truth: true objects; crowds and those outside an area range take matches, but count for nothing.
        max_dets: how many predictions a picture may have; the rest is cut off.
        boundary: take the smaller one of mask IoU and boundary IoU (boundary AP, Cheng et al. 2021).
    """
    order = np.argsort(-found.scores, kind="stable")[:max_dets]
    rles = [found.rles[i] for i in order]
    iou = mask_iou(rles, truth.rles, truth.crowd)
    if boundary:
        iou = boundary_iou(rles, truth.rles, iou, truth.crowd, float(THRESHOLDS[0]))
    unsought = truth.crowd | _outside(truth.areas)
    hit, ignored = _assign(iou, unsought[_LANE_RANGE], truth.crowd)
    ignored |= ~hit & _outside(mask_areas(rles))[_LANE_RANGE]
    return Matched(found.scores[order], hit, ignored, np.count_nonzero(~unsought, axis=1).astype(np.int64))


def _outside(areas: Floats) -> Bools:
    """Tell which areas (n,) lie outside each area range; bool (4, n)."""
    return np.asarray((areas < _LOW[:, None]) | (areas > _HIGH[:, None]))


def _assign(iou: Floats, unsought: Bools, crowd: Bools) -> tuple[Bools, Bools]:
    """Give each prediction, the surest first, the best free true object; bool (40, D): hit, hit one unsought.

    One that is sought goes before one that is not; of equally good ones the last wins, as in COCOeval.
    """
    hit = np.zeros((len(_LANE_IOU), len(iou)), dtype=bool)
    ignored = np.zeros_like(hit)
    near = iou >= _LANE_IOU[0]
    alone = near & (near.sum(axis=1, keepdims=True) == 1) & (near.sum(axis=0) == 1)
    d, g = np.nonzero(alone)  # nobody contests these pairs, which are most: all at once
    hit[:, d] = iou[d, g] >= _LANE_IOU[:, None]
    ignored[:, d] = hit[:, d] & unsought[:, g]
    free = np.ones((len(_LANE_IOU), len(crowd)), dtype=bool)
    for row in np.flatnonzero((near & ~alone).any(axis=1)):
        _take_best(iou[row], unsought, free, hit[:, row], ignored[:, row])
        free[:, crowd] = True  # a crowd takes any number
    return hit, ignored


def _take_best(iou: Floats, unsought: Bools, free: Bools, hit: Bools, ignored: Bools) -> None:
    """Match one prediction, its IoUs (G,), in all lanes; writes into free (40, G), hit and ignored (40,)."""
    best_first = [g for g in np.argsort(iou, kind="stable")[::-1] if iou[g] >= _LANE_IOU[0]]
    for kind in (False, True):
        for g in best_first:
            takes = ~hit & free[:, g] & (iou[g] >= _LANE_IOU) & (unsought[:, g] == kind)
            free[takes, g] = False
            hit |= takes
            ignored |= takes & kind
