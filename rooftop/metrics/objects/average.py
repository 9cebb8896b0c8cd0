"""Average precision and recall over a split, out of the matches of its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rooftop.metrics.objects.matching import AREAS, THRESHOLDS, Matched
from rooftop.metrics.objects.overlap import Bools, Floats
from rooftop.metrics.pixel import Counts

RECALLS = np.linspace(0, 1, 101)

Ints = NDArray[np.int64]


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
        """For each lane, the predictions that count there: picture and hit."""
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
        hit=np.concatenate([lanes, *(part.hit for part in parts)], axis=1)[:, order],
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
        max_dets: how many predictions of a picture count, the surest first.
        weights: how often each picture counts, int64 (N,): a bootstrap sample; None means once.

    Returns:
        (AP, AR), each in [0, 1], or NaN where no category has true objects in this range (COCOeval says -1).
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
    """Find the precision that is reached at or beyond each of RECALLS, and the highest recall; inputs are (D,)."""
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
