"""Everything that is counted on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.evaluation.cases import Case
from rooftop.evaluation.roofs import Roofs
from rooftop.metrics.boundary import count_band, count_outlines
from rooftop.metrics.curve import Histogram, histogram
from rooftop.metrics.error_kinds import HALF, KINDS, sort_errors
from rooftop.metrics.objects import Matched, mask_iou, match, object_counts
from rooftop.metrics.pixel import Counts, count, ratios
from rooftop.metrics.polygons import count_polygons
from rooftop.metrics.published import ffl_angles, hisup_complexity_iou, hisup_polis
from rooftop.raster.rasterise import decode, encode

Floats = NDArray[np.float64]

SIZES = (0, 64, 256, 1024, 4096)  # lower bounds of roof area in square pixels: sides of 8, 16, 32, 64 px
COARSE = 128  # bins of probability that are kept for each picture; all 1024 only for the split


class PolygonCount(Protocol):
    """Counts the outlines of one picture and category, found and true; `iou` is that of their pixels."""

    def __call__(self, said: Sequence[Polygon], true: Sequence[Polygon], /, *, iou: float) -> Floats:
        """Give a row that adds up over pictures."""
        ...


@dataclass(frozen=True)
class Measured:
    """Counts of one picture of K categories.

    rows: by group, float64 (m,), which add up over pictures: pixel and band tp fp fn tn for each category; outline
    as `OutlineCounts`; object tp fp fn tn at IoU 0.5; kinds per size, then invented and fragments; polygon as
    COLUMNS; histogram, coarse. masks, boundaries: matches for each category. histogram: fine.
    """

    name: str
    picture_id: int
    rows: dict[str, Floats]
    masks: list[Matched]
    boundaries: list[Matched]
    histogram: Histogram


def measure(case: Case, *, max_dets: int, as_published: str | None = None) -> Measured:
    """Count one picture.

    Args:
        case: the picture.
        max_dets: how many of its predictions the object scores look at.
        as_published: hisup or ffl counts what that published code counts, too.
    """
    pixel = count(case.prediction, case.mask, case.valid)
    pairs = judged_pairs(case)
    masks = [match(f.as_found(), t.as_truth(), max_dets=max_dets) for f, t in pairs]
    boundaries = [match(f.as_found(), t.as_truth(), max_dets=max_dets, boundary=True) for f, t in pairs]
    fine, ious = _histogram(case), _drawn_ious(case)
    rows = {
        "pixel": _flat(pixel),
        "band": _flat(count_band(case.prediction, case.mask, case.valid)),
        "outline": _summed([_outlines(case, k) for k in range(len(case.mask))]),
        "object": _flat(object_counts(masks).total()),
        "kinds": _summed([_kinds(*pair) for pair in pairs]),
        "polygon": _over_categories(count_polygons, pairs, ious),
        "histogram": _coarse(fine) if case.probability is not None else np.zeros(0),
    }
    if as_published:
        rows["published"] = _over_categories(PUBLISHED[as_published], pairs, ious)
    return Measured(case.name, case.picture_id, rows, masks, boundaries, fine)


def judged_pairs(case: Case) -> list[tuple[Roofs, Roofs]]:
    """Give found and true roofs of each category as object scores take them; ground without data is a crowd."""
    without = _without_data(case)
    truths = [_unsought(truth, without) for truth in case.truth]
    return [(_judged(found, case.valid), truth) for found, truth in zip(case.found, truths, strict=True)]


def _judged(found: Roofs, valid: NDArray[np.bool_]) -> Roofs:
    """Leave out the outlines that lie where nobody judges; the object scores know of crowds themselves."""
    if valid.all() or not found.polygons:
        return found
    x, y = shapely.get_coordinates(shapely.point_on_surface(found.polygons)).astype(int).T
    keep = valid[y.clip(0, valid.shape[0] - 1), x.clip(0, valid.shape[1] - 1)]
    return replace(found, polygons=[polygon for polygon, kept in zip(found.polygons, keep, strict=True) if kept])


def _without_data(case: Case) -> NDArray[np.bool_]:
    """Where nobody judges and no crowd was annotated: the picture has no data there; bool (H, W)."""
    if case.valid.all():
        return np.zeros(case.valid.shape, dtype=bool)
    crowds = [rle for roofs in case.truth for rle, crowd in zip(roofs.rles, roofs.crowd, strict=True) if crowd]
    return np.asarray(~case.valid & (decode(crowds, *case.valid.shape) == 0))


def _unsought(truth: Roofs, without: NDArray[np.bool_]) -> Roofs:
    """Ground without data as a crowd, which takes any number of predictions; so is a roof of which half lies there."""
    if not without.any():
        return truth
    ground = encode(without.astype(np.uint8))
    share = mask_iou(truth.rles, [ground], np.ones(1, dtype=bool))[:, 0]
    return replace(
        _judged(truth, ~without),
        rles=[*truth.rles, ground],
        areas=np.append(truth.areas, without.sum()),
        crowd=np.append(truth.crowd | (share >= HALF), True),
        scores=np.append(truth.scores, 1.0),
    )


def _hisup(found: Sequence[Polygon], truth: Sequence[Polygon], *, iou: float) -> Floats:
    polis, c_iou = hisup_polis(found, truth), hisup_complexity_iou(found, truth, iou=iou)
    return np.array([polis, polis > 0, np.nan_to_num(c_iou), not np.isnan(c_iou)], dtype=np.float64)


def _ffl(found: Sequence[Polygon], truth: Sequence[Polygon], *, iou: float) -> Floats:
    angles = ffl_angles(found, truth)
    return np.array([sum(angles), len(angles)], dtype=np.float64)


PUBLISHED: dict[str, PolygonCount] = {"hisup": _hisup, "ffl": _ffl}


def _flat(counts: Counts) -> Floats:
    """Lay counts of K categories out as tp fp fn tn, tp fp fn tn ...: (4 K,)."""
    return np.stack([counts.tp, counts.fp, counts.fn, counts.tn], axis=-1).astype(np.float64).reshape(-1)


def _drawn_ious(case: Case) -> list[float]:
    """Pixel IoU of the outlines, drawn again, for each category: simple outlines are not quite the mask."""
    drawn = np.stack([decode(found.rles, *case.valid.shape) for found in case.found])
    return [float(iou) for iou in ratios(count(drawn, case.mask, case.valid))["iou"]]


def _over_categories(counted: PolygonCount, pairs: list[tuple[Roofs, Roofs]], ious: list[float]) -> Floats:
    zipped = zip(pairs, ious, strict=True)
    return _summed([counted(found.polygons, truth.polygons, iou=iou) for (found, truth), iou in zipped])


def _outlines(case: Case, k: int) -> Floats:
    counts = count_outlines(case.prediction[k], case.mask[k], case.valid)
    parts = (counts.said, counts.true, counts.said_near, counts.true_near)
    return np.concatenate([np.atleast_1d(part) for part in parts]).astype(np.float64)


def _kinds(found: Roofs, truth: Roofs) -> Floats:
    """Count true roofs by size and kind, then invented ones and fragments: (len(SIZES) * len(KINDS) + 2,)."""
    errors = sort_errors(found.as_found(), truth.as_truth())
    size = np.digitize(truth.areas[~truth.crowd], SIZES[1:])
    table = np.bincount(size * len(KINDS) + errors.kinds, minlength=len(SIZES) * len(KINDS))
    return np.concatenate([table, [errors.invented.sum(), errors.fragments.sum()]]).astype(np.float64)


def _histogram(case: Case) -> Histogram:
    if case.probability is None:
        return Histogram()
    channels = zip(case.probability, case.mask, strict=True)
    return sum((histogram(probability, mask, case.valid) for probability, mask in channels), Histogram())


def _coarse(fine: Histogram) -> Floats:
    """Add neighbouring bins up: negatives, positives, mass, (3 * COARSE,)."""
    parts = (fine.negative, fine.positive, fine.mass)
    return np.concatenate([part.reshape(COARSE, -1).sum(axis=1) for part in parts]).astype(np.float64)


def _summed(rows: list[Floats]) -> Floats:
    return np.asarray(np.sum(rows, axis=0), dtype=np.float64)
