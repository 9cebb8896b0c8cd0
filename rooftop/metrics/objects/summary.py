"""The object scores by name.

crowdAI Mapping Challenge: AP and AR at IoU 0.5, objects of all sizes, at most 100 a picture
(`_summarize(ap=1, iouThr=0.5, areaRng="all", maxDets=100)` in its starter kit). SpaceNet (Van Etten et al.
2018, "SpaceNet: A Remote Sensing Dataset and Challenge Series"): F1 of objects matched at IoU 0.5; here of
masks, there of polygons.
"""

from __future__ import annotations

from collections.abc import Sequence

from rooftop.metrics.objects.average import Ints, Ranking, average, averages
from rooftop.metrics.objects.matching import THRESHOLDS

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
