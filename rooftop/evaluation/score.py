"""Scores of a split and of its bootstrap draws, from the counts; names and meanings of the scores."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.evaluation.counts import COARSE, SIZES, SplitCounts
from rooftop.metrics.bootstrap import Interval, Weights, interval, resample, rescore
from rooftop.metrics.boundary import TOLERANCES, OutlineCounts, outline_f1
from rooftop.metrics.curve import Histogram, average_precision, calibration_error
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.objects import boundary_scores, object_scores
from rooftop.metrics.panoptic import panoptic_each, panoptic_scores
from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygons import COLUMNS, polygon_scores
from rooftop.metrics.shift import median_shift, shift_scores

SHARES = (0.05, 0.1, 0.2, 0.4)  # bounds of the share of a picture covered by roofs

Floats = NDArray[np.float64]
Sections = dict[str, dict[str, float]]  # section -> name -> score; NaN if there is nothing to score
Draws = dict[str, dict[str, Floats]]  # section -> name -> score of each bootstrap draw, (rounds,)

SECTIONS = {
    "pixel": "Pixels",
    "boundary": "Boundaries",
    "object": "Roofs as objects",
    "polygon": "Polygons",
    "shifted": "Pixels, each picture shifted to fit best",
}

# "section.name" -> label and meaning, for the reports
LABELS = {
    "pixel.iou": ("IoU", "intersection of predicted and true roof pixels, divided by their union"),
    "pixel.f1": ("F1", "harmonic mean of precision and recall"),
    "pixel.precision": ("Precision", "share of predicted roof pixels on a true roof"),
    "pixel.recall": ("Recall", "share of true roof pixels found"),
    "pixel.accuracy": ("Accuracy", "share of all pixels classified correctly"),
    "pixel.ap": ("Average precision", "area under the precision-recall curve"),
    "pixel.ece": ("Calibration error", "mean gap between probability and true share of roof; lower is better"),
    "boundary.iou": ("Boundary IoU", "IoU of bands along the outlines, 2 % of the diagonal wide (Cheng et al. 2021)"),
    "boundary.f1_1px": ("Boundary F1, 1 px", "outline pixels within 1 px of the other outline"),
    "boundary.f1_2px": ("Boundary F1, 2 px", "within 2 px"),
    "boundary.f1_3px": ("Boundary F1, 3 px", "within 3 px"),
    "object.f1": ("F1 at IoU 0.5", "harmonic mean of object precision and recall, as in SpaceNet"),
    "object.precision": ("Precision at IoU 0.5", "share of predicted roofs with a true one"),
    "object.recall": ("Recall at IoU 0.5", "share of true roofs found"),
    "object.pq": ("PQ", "panoptic quality, SQ times RQ; each a mean over categories (Kirillov et al. 2019)"),
    "object.sq": ("SQ", "segmentation quality: mean IoU of the roofs matched at an IoU above 0.5"),
    "object.rq": ("RQ", "recognition quality: F1 of these matches"),
    "object.ap": ("AP", "COCO average precision over IoU 0.50 to 0.95"),
    "object.ap50": ("AP50", "at IoU 0.50"),
    "object.ap75": ("AP75", "at IoU 0.75"),
    "object.ar": ("AR", "COCO average recall over IoU 0.50 to 0.95"),
    "object.ap_small": ("AP small", "roofs below 32 x 32 px"),
    "object.ap_medium": ("AP medium", "roofs of 32 x 32 to 96 x 96 px"),
    "object.ap_large": ("AP large", "roofs above 96 x 96 px"),
    "object.ar_small": ("AR small", ""),
    "object.ar_medium": ("AR medium", ""),
    "object.ar_large": ("AR large", ""),
    "object.crowdai_ap": ("AP, crowdAI", "IoU 0.5, all sizes, at most 100 a picture"),
    "object.crowdai_ar": ("AR, crowdAI", "IoU 0.5, all sizes, at most 100 a picture"),
    "object.boundary_ap": ("Boundary AP", "AP with the smaller of mask and boundary IoU"),
    "object.boundary_ap50": ("Boundary AP50", ""),
    "object.boundary_ap75": ("Boundary AP75", ""),
    "object.boundary_ar": ("Boundary AR", ""),
    "polygon.c_iou": ("C-IoU", "IoU, lowered by a wrong number of corners (Zorzi et al. 2022)"),
    "polygon.n_ratio": ("N-ratio", "predicted corners divided by true ones; 1 is best"),
    "polygon.polis": ("PoLiS, px", "mean distance of corners from the other outline (Avbelj et al. 2015)"),
    "polygon.hausdorff": ("Hausdorff, px", "largest distance between paired outlines, on average"),
    "polygon.max_tangent_angle": (
        "Max tangent angle, degrees",
        "largest difference of direction from the true outline (Girard et al. 2021)",
    ),
    "polygon.hole_f1": ("Hole F1", "F1 of courtyards"),
    "polygon.count_error": ("Count error", "difference in the number of roofs, mean over pictures and categories"),
    "polygon.count_ratio": ("Count ratio", "predicted roofs divided by true ones; 1 is best"),
    "shifted.iou": (
        "IoU after the best shift",
        "each picture's prediction moved by up to 3 m to its highest IoU: the best of many, so too good; it shows how "
        "much of the error can be shifted labels; needs metres per pixel",
    ),
    "shifted.mean_shift_m": (
        "Mean shift, m",
        "length of these shifts, in pictures where prediction and truth then overlap",
    ),
    "shifted.median_shift_m": ("Median shift, m", ""),
}


def score(counts: SplitCounts, *, max_dets: int) -> Sections:
    """Score the whole split.

    Args:
        counts: of the split.
        max_dets: predictions of a picture used for the object scores.

    Returns:
        Scores of the sections pixel, boundary, object, polygon and shifted.
    """
    found = _of_sums({group: rows.sum(axis=0) for group, rows in counts.table.items()})
    sections = {section: {name: float(value) for name, value in each.items()} for section, each in found.items()}
    sections["object"] |= _averages(counts, max_dets)(None)
    sections["shifted"] |= _median_shift(counts)(None)
    if counts.table["histogram"].size:
        sections["pixel"] |= _of_histogram(counts.histogram)
    return sections


def score_draws(counts: SplitCounts, *, max_dets: int, rounds: int, seed: int) -> Draws:
    """Score `rounds` bootstrap draws of the pictures; the same pictures and seed give the same draws."""
    sums = {group: resample(rows, rounds=rounds, seed=seed) for group, rows in counts.table.items()}
    draws = _of_sums(sums)
    draws["object"] |= rescore(_averages(counts, max_dets), len(counts), rounds=rounds, seed=seed)
    draws["shifted"] |= rescore(_median_shift(counts), len(counts), rounds=rounds, seed=seed)
    if counts.table["histogram"].size:
        draws["pixel"] |= _of_coarse_histograms(counts, sums["histogram"])
    return draws


def intervals(draws: Draws) -> dict[str, dict[str, Interval]]:
    """Return the middle 95 % of the draws of each score."""
    return {section: {name: interval(values) for name, values in each.items()} for section, each in draws.items()}


def score_categories(counts: SplitCounts) -> dict[str, dict[str, float]]:
    """Score each category separately: pixels, and panoptic quality."""
    pixel, panoptic = (counts.table[group].sum(axis=0).reshape(-1, 4) for group in ("pixel", "panoptic"))
    scored = ratios(_counts(pixel)) | panoptic_each(panoptic)
    return {name: {key: float(v[k]) for key, v in scored.items()} for k, name in enumerate(counts.names)}


def score_sizes(counts: SplitCounts) -> list[dict[str, float]]:
    """Count the true roofs by size and error kind: bounds in square pixels, roofs, and the number of each of KINDS."""
    kinds = counts.table["kinds"].sum(axis=0)[: len(SIZES) * len(KINDS)].reshape(len(SIZES), len(KINDS))
    bounds = zip(SIZES, (*SIZES[1:], float("inf")), strict=True)
    return [
        {"from": low, "to": high, "roofs": int(row.sum())} | dict(zip(KINDS, row.astype(int).tolist(), strict=True))
        for (low, high), row in zip(bounds, kinds, strict=True)
    ]


def score_shares(counts: SplitCounts) -> list[dict[str, Any]]:
    """Score groups of pictures by their share of roof: label, pictures, iou, f1, object_f1."""
    pixel = _categories_summed(counts.table["pixel"])
    roof, every = pixel[:, 0] + pixel[:, 2], pixel.sum(axis=1)  # each pixel is in `every` once for each category
    share = roof * len(counts.names) / np.maximum(every, 1)
    group = np.where(share > 0, np.digitize(share, SHARES) + 1, 0)
    rows = []
    for k, label in enumerate(("no roof", *_share_labels())):
        here = group == k
        pixels, objects = (ratios(_counts(table[here].sum(axis=0))) for table in (pixel, counts.table["object"]))
        scored = {"iou": float(pixels["iou"]), "f1": float(pixels["f1"]), "object_f1": float(objects["f1"])}
        rows.append({"label": label, "pictures": int(here.sum()), **scored})
    return rows


def _share_labels() -> list[str]:
    bounds = [0, *(round(100 * share) for share in SHARES)]
    between = [f"{low} to {high} %" for low, high in pairwise(bounds)]
    return [*between, f"above {bounds[-1]} %"]


def score_published(counts: SplitCounts, paper: str, *, max_dets: int) -> dict[str, float]:
    """Score as published code does (see `rooftop.metrics.published`); NaN if there is nothing to score."""
    sums = counts.table["published"].sum(axis=0)
    above, below = sums[::2], sums[1::2]
    means = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0).tolist()
    if paper == "hisup":
        return dict(zip(("polis", "c_iou"), means, strict=True))
    predicted = counts.table["polygon"][:, COLUMNS.index("said")] > 0
    found = object_scores(counts.masks, max_dets=max_dets, weights=predicted.astype(np.int64))
    return {"max_tangent_angle": means[0], "ap": found["ap"], "ap50": found["ap50"], "ar": found["ar"]}


def _of_sums(sums: dict[str, Floats]) -> Draws:
    """Turn sums, float64 (..., m) for each group, into scores (...)."""
    pixel, band = (ratios(_counts(_categories_summed(sums[group]))) for group in ("pixel", "band"))
    outline, objects = _outline_f1(sums["outline"]), ratios(_counts(sums["object"]))
    panoptic = sums["panoptic"].reshape(*sums["panoptic"].shape[:-1], -1, 4)
    return {
        "pixel": dict(pixel),
        "boundary": {"iou": band["iou"], **outline},
        "object": {name: objects[name] for name in ("f1", "precision", "recall")} | panoptic_scores(panoptic),
        "polygon": polygon_scores(sums["polygon"]),
        "shifted": shift_scores(sums["shifted"]),
    }


def _averages(counts: SplitCounts, max_dets: int) -> Callable[[Weights | None], dict[str, float]]:
    def averages(weights: Weights | None) -> dict[str, float]:
        masks = object_scores(counts.masks, max_dets=max_dets, weights=weights)
        return masks | boundary_scores(counts.boundaries, max_dets=max_dets, weights=weights)

    return averages


def _median_shift(counts: SplitCounts) -> Callable[[Weights | None], dict[str, float]]:
    def median(weights: Weights | None) -> dict[str, float]:
        rows = counts.table["shifted"]
        return {"median_shift_m": median_shift(rows if weights is None else np.repeat(rows, weights, axis=0))}

    return median


def _of_histogram(found: Histogram) -> dict[str, float]:
    return {"ap": average_precision(found), "ece": calibration_error(found)}


def _of_coarse_histograms(counts: SplitCounts, sums: Floats) -> dict[str, Floats]:
    """Score coarse histograms of draws, (rounds, 3 COARSE).

    Coarse bins move a score a little. By how much is known on the whole split, so it is taken off each draw.
    """
    fine = _of_histogram(counts.histogram)
    coarse = _of_histogram(_bins(counts.table["histogram"].sum(axis=0)))
    drawn = [_of_histogram(_bins(row)) for row in sums]
    return {name: np.array([each[name] for each in drawn]) + fine[name] - coarse[name] for name in fine}


def _bins(row: Floats) -> Histogram:
    negative, positive, mass = row.reshape(3, COARSE)
    return Histogram(negative.astype(np.int64), positive.astype(np.int64), mass)


def _categories_summed(sums: Floats) -> Floats:
    return np.asarray(sums.reshape(*sums.shape[:-1], -1, 4).sum(axis=-2))


def _counts(columns: Floats) -> Counts:
    return Counts(*np.moveaxis(columns.astype(np.int64), -1, 0))


def _outline_f1(sums: Floats) -> dict[str, Floats]:
    whole = sums.astype(np.int64)
    near = len(TOLERANCES)
    counts = OutlineCounts(whole[..., 0], whole[..., 1], whole[..., 2 : 2 + near], whole[..., 2 + near :])
    return {f"f1_{t}px": f1 for t, f1 in zip(TOLERANCES, np.moveaxis(outline_f1(counts), -1, 0), strict=True)}
