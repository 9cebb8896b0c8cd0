"""Object scores, equal to pycocotools' COCOeval to the last digits, several times as fast, at bounded memory.

Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; the protocol follows COCOeval. Only the matches of
each picture are kept, not its annotations. (faster-coco-eval is fast, too, but holds both files in memory as Python
objects.)

In order: IoU of masks and of their boundary bands, pair by pair; the objects of one picture, matched at all thresholds
and sizes at once; average precision and recall over a split; the scores by name: COCO, boundary, crowdAI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from rooftop.metrics.boundary import band, band_width
from rooftop.metrics.pixel import Counts

Rle = dict[str, Any]  # {"size": [height, width], "counts": bytes}

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def mask_areas(rles: Sequence[Rle]) -> Floats:
    """Count the pixels of each mask: float64 (n,)."""
    # In portions, since `pycocotools.mask.area` (2.0.11) fails on lists of more than 255 masks.
    portions = [coco_mask.area(rles[start : start + 255]) for start in range(0, len(rles), 255)]
    return np.concatenate([np.zeros(0), *portions])


def mask_iou(found: list[Rle], truth: list[Rle], crowd: Bools) -> Floats:
    """Divide intersection by union, or by the found object's own area if the truth is a crowd; (D, G)."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    return np.asarray(coco_mask.iou(found, truth, crowd.astype(np.uint8).tolist()), dtype=np.float64)


def boundary_iou(found: list[Rle], truth: list[Rle], iou: Floats, crowd: Bools, at_least: float) -> Floats:
    """Return the smaller of mask IoU and IoU of boundary bands, pair by pair (Cheng et al. 2021).

    Args:
        found: D objects.
        truth: G objects.
        iou: their IoU of masks, float64 (D, G).
        crowd: bool (G,); as in the authors' code, the IoU with a crowd is the mask IoU.
        at_least: pairs below this IoU are left unchanged: no threshold is lower.

    Returns:
        float64 (D, G).
    """
    lower: Floats = iou.copy()
    found_bands: dict[int, _Band] = {}
    truth_bands: dict[int, _Band] = {}
    for d, g in np.argwhere((iou >= at_least) & ~crowd).tolist():
        if d not in found_bands:
            found_bands[d] = _Band(found[d])
        if g not in truth_bands:
            truth_bands[g] = _Band(truth[g])
        lower[d, g] = min(iou[d, g], found_bands[d].iou(truth_bands[g]))
    return lower


class _Band:
    """The boundary band of one object, held only within its bounding box."""

    def __init__(self, rle: Rle) -> None:
        x, y, width, height = (int(v) for v in coco_mask.toBbox(rle))
        self.top, self.left, self.bottom, self.right = y, x, y + height, x + width
        # Beyond its bounding box an object is outside, so the band of the cut-out is the band of the whole.
        cut = coco_mask.decode(rle)[self.top : self.bottom, self.left : self.right]
        self.pixels = band(cut, band_width(*rle["size"]))
        self.area = np.count_nonzero(self.pixels)

    def iou(self, other: _Band) -> float:
        both = np.count_nonzero(self._cut(other) & other._cut(self))
        return float(both / (self.area + other.area - both))

    def _cut(self, other: _Band) -> Bools:
        rows = slice(max(other.top - self.top, 0), max(other.bottom - self.top, 0))
        columns = slice(max(other.left - self.left, 0), max(other.right - self.left, 0))
        return self.pixels[rows, columns]


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
    """Predicted objects of one picture and category: masks, scores (D,), the higher the surer, and areas (D,).

    The areas, in square pixels, decide on the area range of a prediction without match; None: those of the masks.
    """

    rles: list[Rle]
    scores: Floats
    areas: Floats | None = None


@dataclass(frozen=True)
class Truth:
    """True objects of one picture and category: masks, annotated areas in pixels (G,), `iscrowd` (G,).

    ids int64 (G,), of the annotations; None: none is 0. COCOeval takes a match with annotation 0 for no match.
    """

    rles: list[Rle]
    areas: Floats
    crowd: Bools
    ids: Ints | None = None


@dataclass(frozen=True)
class Overlaps:
    """Predictions of one picture by falling score, its truth, and the IoU of each with each (`mask_iou`), (D, G)."""

    found: Found
    truth: Truth
    iou: Floats


def overlaps(found: Found, truth: Truth, *, max_dets: int) -> Overlaps:
    """Measure the IoU of the `max_dets` surest predictions with the truth; the others are cut off."""
    order = np.argsort(-found.scores, kind="stable")[:max_dets]
    rles = [found.rles[i] for i in order]
    surest = Found(rles, found.scores[order], None if found.areas is None else found.areas[order])
    return Overlaps(surest, truth, mask_iou(rles, truth.rles, truth.crowd))


@dataclass(frozen=True)
class Matched:
    """Matches of one picture: D predictions by falling score, 40 lanes (4 area ranges x 10 IoUs).

    scores float64 (D,); hit and ignored bool (40, D); positives int64 (4,), true objects in each area range;
    unseen bool (40, D), hits that COCOeval takes for none; None: no such hit.
    """

    scores: Floats
    hit: Bools
    ignored: Bools
    positives: Ints
    unseen: Bools | None = None

    @property
    def seen(self) -> Bools:
        """The hits as COCOeval counts them; bool (40, D)."""
        return self.hit if self.unseen is None else self.hit & ~self.unseen


def match(pair: Overlaps, *, boundary: bool = False) -> Matched:
    """Match predictions, the surest first, to the truth, each to the free true object it overlaps most.

    Args:
        pair: predictions and truth; crowds and true objects outside an area range take matches, but count for nothing.
        boundary: take the smaller one of mask IoU and boundary IoU (boundary AP, Cheng et al. 2021).
    """
    found, truth, iou = pair.found, pair.truth, pair.iou
    if boundary:
        iou = boundary_iou(found.rles, truth.rles, iou, truth.crowd, float(THRESHOLDS[0]))
    unsought = truth.crowd | _outside(truth.areas)
    taken = _assign(iou, unsought[_LANE_RANGE], truth.crowd)
    hit = taken >= 0
    # the column for -1, no match, is the last
    ignored = np.take_along_axis(np.pad(unsought[_LANE_RANGE], ((0, 0), (0, 1))), taken, axis=1)
    is_zero = np.zeros(0, bool) if truth.ids is None else truth.ids == 0
    unseen = np.append(is_zero, False)[taken] if is_zero.any() else None
    areas = mask_areas(found.rles) if found.areas is None else found.areas
    matched = Matched(found.scores, hit, ignored, np.count_nonzero(~unsought, axis=1), unseen)
    ignored |= ~matched.seen & _outside(areas)[_LANE_RANGE]
    return matched


def _outside(areas: Floats) -> Bools:
    """Report the areas (n,) outside each area range; bool (4, n)."""
    return np.asarray((areas < _LOW[:, None]) | (areas > _HIGH[:, None]))


def _assign(iou: Floats, unsought: Bools, crowd: Bools) -> Ints:
    """Match each prediction, highest score first, to the best free true object; int64 (40, D), -1 without match.

    Counted true objects come before ignored ones; of equal ones the last wins, as in COCOeval.
    """
    taken = np.full((len(_LANE_IOU), len(iou)), -1)
    near = iou >= _LANE_IOU[0]
    alone = near & (near.sum(axis=1, keepdims=True) == 1) & (near.sum(axis=0) == 1)
    d, g = np.nonzero(alone)  # nobody contests these pairs, which are most: all at once
    taken[:, d] = np.where(iou[d, g] >= _LANE_IOU[:, None], g, -1)
    free = np.ones((len(_LANE_IOU), len(crowd)), dtype=bool)
    for row in np.flatnonzero((near & ~alone).any(axis=1)):
        _take_best(iou[row], unsought, free, taken[:, row])
        free[:, crowd] = True  # a crowd takes any number
    return taken


def _take_best(iou: Floats, unsought: Bools, free: Bools, taken: Ints) -> None:
    """Match one prediction, its IoUs (G,), in all lanes; writes into free (40, G) and taken (40,)."""
    best_first = [g for g in np.argsort(iou, kind="stable")[::-1] if iou[g] >= _LANE_IOU[0]]
    for kind in (False, True):
        for g in best_first:
            takes = (taken < 0) & free[:, g] & (iou[g] >= _LANE_IOU) & (unsought[:, g] == kind)
            free[takes, g] = False
            taken[takes] = g


RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Ranking:
    """All predictions of one category, the surest of all pictures first.

    picture int64 (D,), its place in the split; rank int64 (D,), its place among its picture's predictions;
    hit and ignored bool (40, D), lanes as in `Matched`; positives int64 (N, 4), true objects a picture and
    range.
    """

    picture: Ints
    rank: Ints
    hit: Bools
    ignored: Bools
    positives: Ints

    @cached_property
    def lanes(self) -> list[tuple[Ints, Bools]]:
        """Per lane, the counted predictions: picture and hit."""
        return [(self.picture[~out], hit[~out]) for hit, out in zip(self.hit, self.ignored, strict=True)]

    def surest(self, max_dets: int) -> Ranking:
        """Keep the `max_dets` surest predictions of each picture."""
        keep = self.rank < max_dets
        if keep.all():
            return self
        return Ranking(self.picture[keep], self.rank[keep], self.hit[:, keep], self.ignored[:, keep], self.positives)


def ranking(parts: Sequence[Matched]) -> Ranking:
    """Rank the predictions of all pictures.

    Args:
        parts: each picture once, those without objects too, in order of their ids: this order decides between
            equal scores, as in COCOeval.
    """
    sizes = [len(part.scores) for part in parts]
    order = np.argsort(-np.concatenate([np.zeros(0), *(part.scores for part in parts)]), kind="stable")
    lanes = np.zeros((len(AREAS) * len(THRESHOLDS), 0), dtype=bool)
    return Ranking(
        picture=np.repeat(np.arange(len(parts)), sizes)[order],
        rank=np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(n) for n in sizes)])[order],
        hit=np.concatenate([lanes, *(part.seen for part in parts)], axis=1)[:, order],
        ignored=np.concatenate([lanes, *(part.ignored for part in parts)], axis=1)[:, order],
        positives=np.array([part.positives for part in parts], dtype=np.int64).reshape(-1, len(AREAS)),
    )


def average(
    rankings: Iterable[Ranking],
    area: str,
    thresholds: Sequence[int],
    *,
    max_dets: int,
    weights: Ints | None = None,
) -> tuple[float, float]:
    """Average precision over 101 levels of recall, and highest recall, over thresholds and categories.

    Args:
        rankings: one a category.
        area: a key of AREAS.
        thresholds: indices into THRESHOLDS.
        max_dets: number of predictions per picture, highest scores first.
        weights: number of times each picture counts, int64 (N,): a bootstrap sample; None: once.

    Returns:
        (AP, AR), each in [0, 1], or NaN without true objects in this range (COCOeval returns -1).
    """
    ap, ar = averages(rankings, area, thresholds, max_dets=max_dets, weights=weights).mean(axis=0).tolist()
    return ap, ar


def averages(
    rankings: Iterable[Ranking],
    area: str,
    thresholds: Sequence[int],
    *,
    max_dets: int,
    weights: Ints | None = None,
) -> Floats:
    """Do the same for each threshold by itself: float64 (len(thresholds), 2), AP and AR."""
    row = list(AREAS).index(area)
    found = []
    for ranks in rankings:
        counted = np.ones(len(ranks.positives), dtype=np.int64) if weights is None else weights
        positives = int(counted @ ranks.positives[:, row])
        if positives:
            lanes = ranks.surest(max_dets).lanes
            asked = [lanes[row * len(THRESHOLDS) + threshold] for threshold in thresholds]
            curves = [_curve(hit, counted[picture], positives) for picture, hit in asked]
            found.append([(curve.mean(), recall) for curve, recall in curves])
    return np.mean(found, axis=0) if found else np.full((len(thresholds), 2), np.nan)


def precision_curve(ranks: Ranking, threshold: int, *, max_dets: int) -> Floats:
    """Give the precision reached at or beyond each of RECALLS by objects of any size; float64 (101,).

    Args:
        ranks: predictions of one category.
        threshold: index into THRESHOLDS.
        max_dets: how many predictions of a picture count.
    """
    picture, hit = ranks.surest(max_dets).lanes[threshold]
    return _curve(hit, np.ones(len(picture), dtype=np.int64), max(int(ranks.positives[:, 0].sum()), 1))[0]


def _curve(hit: Bools, weight: Ints, positives: int) -> tuple[Floats, float]:
    """Find the best precision at or beyond each of RECALLS, and the highest recall; inputs are (D,)."""
    if not len(hit):
        return np.zeros(len(RECALLS)), 0.0
    right, all_said = np.cumsum(weight * hit), np.cumsum(weight)
    recall = right / positives
    precision = right / (all_said + np.spacing(1))  # before the first that counts: 0 / tiny = 0
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, RECALLS)
    return np.append(best_beyond, 0.0)[reached], float(recall[-1])


def object_counts(parts: Sequence[Matched]) -> Counts:
    """Count objects found, invented and missed in each picture, at IoU 0.5, of any size; int64 (N,), tn 0."""
    hit = np.array([np.count_nonzero(p.hit[0] & ~p.ignored[0]) for p in parts], dtype=np.int64)
    invented = np.array([np.count_nonzero(~(p.hit[0] | p.ignored[0])) for p in parts], dtype=np.int64)
    sought = np.array([p.positives[0] for p in parts], dtype=np.int64)
    return Counts(tp=hit, fp=invented, fn=sought - hit, tn=np.zeros_like(hit))


ALL = range(len(THRESHOLDS))
AT_50 = (0,)
CROWDAI_MAX_DETS = 100


def object_scores(rankings: Sequence[Ranking], *, max_dets: int, weights: Ints | None = None) -> dict[str, float]:
    """Score masks: ap, ap50, ap75, ar, ap and ar by size, crowdai_ap, crowdai_ar; NaN without such truth.

    Args:
        rankings: one a category, of masks.
        max_dets: how many predictions of a picture count; COCO's own 100 is too few for dense tiles.
        weights: how often each picture counts, int64 (N,); None means once.
    """
    scores = _by_threshold(rankings, max_dets, weights)
    for size in ("small", "medium", "large"):
        pair = average(rankings, size, ALL, max_dets=max_dets, weights=weights)
        scores |= dict(zip((f"ap_{size}", f"ar_{size}"), pair, strict=True))
    crowdai = average(rankings, "all", AT_50, max_dets=min(max_dets, CROWDAI_MAX_DETS), weights=weights)
    return scores | dict(zip(("crowdai_ap", "crowdai_ar"), crowdai, strict=True))


def boundary_scores(rankings: Sequence[Ranking], *, max_dets: int, weights: Ints | None = None) -> dict[str, float]:
    """Score boundaries: boundary_ap, boundary_ap50, boundary_ap75, boundary_ar, as `object_scores`.

    Args:
        rankings: one a category, matched with `boundary=True`.
        max_dets: how many predictions of a picture count.
        weights: how often each picture counts, int64 (N,); None means once.
    """
    return {f"boundary_{name}": v for name, v in _by_threshold(rankings, max_dets, weights).items()}


def _by_threshold(rankings: Sequence[Ranking], max_dets: int, weights: Ints | None) -> dict[str, float]:
    each = averages(rankings, "all", ALL, max_dets=max_dets, weights=weights)
    (ap, ar), ap50, ap75 = each.mean(axis=0).tolist(), float(each[0, 0]), float(each[5, 0])
    return {"ap": ap, "ap50": ap50, "ap75": ap75, "ar": ar}
