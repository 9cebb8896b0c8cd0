"""Counts of one picture and of a whole split; scores are ratios of their sums.

Counts are kept picture by picture, so every choice of pictures can be scored: all of them, or a bootstrap draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.evaluation.cases import Case
from rooftop.evaluation.instances import Instances
from rooftop.metrics.boundary import count_band, count_outlines
from rooftop.metrics.curve import Histogram, histogram
from rooftop.metrics.error_kinds import HALF, KINDS, sort_errors
from rooftop.metrics.objects import Matched, Ranking, mask_iou, match, object_counts, overlaps, ranking
from rooftop.metrics.panoptic import count_panoptic
from rooftop.metrics.pixel import Counts, count, ratios
from rooftop.metrics.polygons import count_polygons
from rooftop.metrics.published import ffl_angles, hisup_complexity_iou, hisup_polis
from rooftop.metrics.shift import count_shifted
from rooftop.raster.rasterise import decode, encode

Floats = NDArray[np.float64]

SIZES = (0, 64, 256, 1024, 4096)  # lower bounds of roof area in square pixels: sides of 8, 16, 32, 64 px
COARSE = 128  # bins of probability stored for each picture; the split as a whole has 1024


class PolygonCount(Protocol):
    """Counts the polygons of one picture and category."""

    def __call__(self, said: Sequence[Polygon], true: Sequence[Polygon], /, *, iou: float) -> Floats:
        """Count predicted and true polygons.

        Args:
            said: predicted polygons.
            true: true polygons.
            iou: of their pixels.

        Returns:
            float64 (m,), to be summed over pictures.
        """
        ...


@dataclass(frozen=True)
class PictureCounts:
    """Counts of one picture with K categories.

    Attributes:
        name: file name.
        picture_id: as in `Case`.
        rows: by group, float64 (m,), to be summed over pictures. pixel, band: tp, fp, fn, tn of each category. outline:
            `OutlineCounts`. object: tp, fp, fn, tn at IoU 0.5. panoptic: `count_panoptic` of each category. kinds:
            error kinds by size, then invented and fragments. polygon: `COLUMNS`. shifted: `count_shifted`. histogram:
            coarse bins of probability.
        masks: matches of each category by mask IoU.
        boundaries: matches of each category by boundary IoU.
        histogram: fine bins of probability.
    """

    name: str
    picture_id: int
    rows: dict[str, Floats]
    masks: list[Matched]
    boundaries: list[Matched]
    histogram: Histogram


def count_picture(case: Case, *, max_dets: int, as_published: str | None = None) -> PictureCounts:
    """Count one picture.

    Args:
        case: the picture.
        max_dets: number of predictions used for the object scores, highest scores first.
        as_published: "hisup" or "ffl" adds the counts of that published code.
    """
    pixel = count(case.prediction, case.mask, case.valid)
    pairs = judged_pairs(case)
    overlapping = [overlaps(found.as_found(), truth.as_truth(), max_dets=max_dets) for found, truth in pairs]
    masks = [match(pair) for pair in overlapping]
    boundaries = [match(pair, boundary=True) for pair in overlapping]
    fine, ious = _histogram(case), _drawn_ious(case)
    rows = {
        "pixel": _flat(pixel),
        "shifted": count_shifted(case.prediction, case.mask, case.valid, gsd=case.gsd),
        "band": _flat(count_band(case.prediction, case.mask, case.valid)),
        "outline": _summed([_outlines(case, k) for k in range(len(case.mask))]),
        "object": _flat(object_counts(masks).total()),
        "panoptic": np.concatenate([count_panoptic(pair) for pair in overlapping]),
        "kinds": _summed([_kinds(*pair) for pair in pairs]),
        "polygon": _over_categories(count_polygons, pairs, ious),
        "histogram": _coarse(fine) if case.probability is not None else np.zeros(0),
    }
    if as_published:
        rows["published"] = _over_categories(PUBLISHED[as_published], pairs, ious)
    return PictureCounts(case.name, case.picture_id, rows, masks, boundaries, fine)


def judged_pairs(case: Case) -> list[tuple[Instances, Instances]]:
    """Return predicted and true roofs of each category for the object scores; ground without data is a crowd."""
    without = _without_data(case)
    truths = [_unsought(truth, without) for truth in case.truth]
    return [(_judged(found, case.valid), truth) for found, truth in zip(case.found, truths, strict=True)]


def _judged(found: Instances, valid: NDArray[np.bool_]) -> Instances:
    """Drop polygons on ground not judged; the object scores treat crowds themselves."""
    if valid.all() or not found.polygons:
        return found
    x, y = shapely.get_coordinates(shapely.point_on_surface(found.polygons)).astype(int).T
    keep = valid[y.clip(0, valid.shape[0] - 1), x.clip(0, valid.shape[1] - 1)]
    return replace(found, polygons=[polygon for polygon, kept in zip(found.polygons, keep, strict=True) if kept])


def _without_data(case: Case) -> NDArray[np.bool_]:
    """Mark the ground without data: not judged, and no annotated crowd; bool (H, W)."""
    if case.as_cocoeval or case.valid.all():
        return np.zeros(case.valid.shape, dtype=bool)
    crowds = [rle for roofs in case.truth for rle, crowd in zip(roofs.rles, roofs.crowd, strict=True) if crowd]
    return np.asarray(~case.valid & (decode(crowds, *case.valid.shape) == 0))


def _unsought(truth: Instances, without: NDArray[np.bool_]) -> Instances:
    """Add ground without data as a crowd (it matches any number of predictions), as is a roof at least half on it."""
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
        ids=None if truth.ids is None else np.append(truth.ids, -1),
    )


def _hisup(found: Sequence[Polygon], truth: Sequence[Polygon], *, iou: float) -> Floats:
    polis, c_iou = hisup_polis(found, truth), hisup_complexity_iou(found, truth, iou=iou)
    return np.array([polis, polis > 0, np.nan_to_num(c_iou), not np.isnan(c_iou)], dtype=np.float64)


def _ffl(found: Sequence[Polygon], truth: Sequence[Polygon], *, iou: float) -> Floats:
    angles = ffl_angles(found, truth)
    return np.array([sum(angles), len(angles)], dtype=np.float64)


PUBLISHED: dict[str, PolygonCount] = {"hisup": _hisup, "ffl": _ffl}


def _flat(counts: Counts) -> Floats:
    """Flatten counts of K categories to tp fp fn tn, tp fp fn tn ...: (4 K,)."""
    return np.stack([counts.tp, counts.fp, counts.fn, counts.tn], axis=-1).astype(np.float64).reshape(-1)


def _drawn_ious(case: Case) -> list[float]:
    """Pixel IoU of the rasterised outlines for each category: simplified outlines differ from the mask."""
    drawn = np.stack([decode(found.rles, *case.valid.shape) for found in case.found])
    return [float(iou) for iou in ratios(count(drawn, case.mask, case.valid))["iou"]]


def _over_categories(counted: PolygonCount, pairs: list[tuple[Instances, Instances]], ious: list[float]) -> Floats:
    zipped = zip(pairs, ious, strict=True)
    return _summed([counted(found.polygons, truth.polygons, iou=iou) for (found, truth), iou in zipped])


def _outlines(case: Case, k: int) -> Floats:
    counts = count_outlines(case.prediction[k], case.mask[k], case.valid)
    parts = (counts.said, counts.true, counts.said_near, counts.true_near)
    return np.concatenate([np.atleast_1d(part) for part in parts]).astype(np.float64)


def _kinds(found: Instances, truth: Instances) -> Floats:
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
    """Sum neighbouring bins: negatives, positives, mass, (3 * COARSE,)."""
    parts = (fine.negative, fine.positive, fine.mass)
    return np.concatenate([part.reshape(COARSE, -1).sum(axis=1) for part in parts]).astype(np.float64)


def _summed(rows: list[Floats]) -> Floats:
    return np.asarray(np.sum(rows, axis=0), dtype=np.float64)


class SplitCounts:
    """Counts of all pictures of a split, some kilobytes each.

    Attributes:
        names: of the K categories.
        pictures: in order of their ids; this order decides between equal object scores, as in COCOeval.
        positions: index in the split of each picture of `pictures`.
        histogram: of the whole split; empty if there are no probabilities.

    Args:
        measured: counts of the pictures, in the order of the split.
        names: of the K categories.
    """

    def __init__(self, measured: Iterable[PictureCounts], names: list[str]) -> None:
        self.names, self.histogram = names, Histogram()
        pictures, empty = [], Histogram()
        for each in measured:
            self.histogram += each.histogram
            pictures.append(replace(each, histogram=empty))  # saves 24 KiB a picture: it is in the sum already
        self.positions = sorted(range(len(pictures)), key=lambda i: pictures[i].picture_id)
        self.pictures = [pictures[i] for i in self.positions]

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def table(self) -> dict[str, Floats]:
        """Counts by group, one row for each picture: float64 (N, m)."""
        groups = self.pictures[0].rows
        return {group: np.array([each.rows[group] for each in self.pictures]) for group in groups}

    @cached_property
    def masks(self) -> list[Ranking]:
        """Predictions of each category by descending score, matched by mask IoU."""
        return [ranking([each.masks[k] for each in self.pictures]) for k in range(len(self.names))]

    @cached_property
    def boundaries(self) -> list[Ranking]:
        """Predictions of each category by descending score, matched by boundary IoU."""
        return [ranking([each.boundaries[k] for each in self.pictures]) for k in range(len(self.names))]
