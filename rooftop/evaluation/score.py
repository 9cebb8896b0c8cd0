"""Scores of a split out of its tally, and of bootstrap draws of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.evaluation.measure import COARSE, SIZES
from rooftop.evaluation.tally import Tally
from rooftop.metrics.bootstrap import Interval, Weights, interval, resample, rescore
from rooftop.metrics.boundary import TOLERANCES, OutlineCounts, outline_f1
from rooftop.metrics.curve import Histogram, average_precision, calibration_error
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.objects import boundary_scores, object_scores
from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygons import COLUMNS, polygon_scores

SHARES = (0.05, 0.1, 0.2, 0.4)  # of a picture that is roof

Floats = NDArray[np.float64]
Sections = dict[str, dict[str, float]]  # section -> name -> score; NaN where there is nothing to score
Draws = dict[str, dict[str, Floats]]  # the same of each bootstrap draw, (rounds,)


def score(tally: Tally, *, max_dets: int) -> Sections:
    """Score the whole split: sections pixel, boundary, object, polygon."""
    found = _of_sums({group: rows.sum(axis=0) for group, rows in tally.table.items()})
    sections = {section: {name: float(value) for name, value in each.items()} for section, each in found.items()}
    sections["object"] |= _averages(tally, max_dets)(None)
    if tally.table["histogram"].size:
        sections["pixel"] |= _of_histogram(tally.histogram)
    return sections


def score_draws(tally: Tally, *, max_dets: int, rounds: int, seed: int) -> Draws:
    """Score `rounds` bootstrap draws of the pictures; tallies of the same pictures and seed are drawn alike."""
    sums = {group: resample(rows, rounds=rounds, seed=seed) for group, rows in tally.table.items()}
    draws = _of_sums(sums)
    draws["object"] |= rescore(_averages(tally, max_dets), len(tally), rounds=rounds, seed=seed)
    if tally.table["histogram"].size:
        draws["pixel"] |= _shifted(tally, sums["histogram"])
    return draws


def intervals(draws: Draws) -> dict[str, dict[str, Interval]]:
    """Take the middle 95 % of the draws of each score."""
    return {section: {name: interval(values) for name, values in each.items()} for section, each in draws.items()}


def score_categories(tally: Tally) -> dict[str, dict[str, float]]:
    """Score the pixels of each category by itself."""
    per_category = tally.table["pixel"].sum(axis=0).reshape(len(tally.names), 4)
    scored = ratios(_counts(per_category))
    return {name: {key: float(v[k]) for key, v in scored.items()} for k, name in enumerate(tally.names)}


def score_sizes(tally: Tally) -> list[dict[str, float]]:
    """Count what became of true roofs, by size: bounds in square pixels, roofs, and how many of each of KINDS."""
    kinds = tally.table["kinds"].sum(axis=0)[: len(SIZES) * len(KINDS)].reshape(len(SIZES), len(KINDS))
    bounds = zip(SIZES, (*SIZES[1:], float("inf")), strict=True)
    return [
        {"from": low, "to": high, "roofs": int(row.sum())} | dict(zip(KINDS, row.astype(int).tolist(), strict=True))
        for (low, high), row in zip(bounds, kinds, strict=True)
    ]


def score_shares(tally: Tally) -> list[dict[str, Any]]:
    """Score pictures apart by the share of them that is roof: label, pictures, iou, f1, object_f1."""
    pixel = _categories_summed(tally.table["pixel"])
    share = (pixel[:, 0] + pixel[:, 2]) * len(tally.names) / np.maximum(pixel.sum(axis=1), 1)  # each is counted K times
    group = np.where(share > 0, np.digitize(share, SHARES) + 1, 0)
    rows = []
    for k, label in enumerate(("no roof", *_share_labels())):
        here = group == k
        pixels, objects = (ratios(_counts(table[here].sum(axis=0))) for table in (pixel, tally.table["object"]))
        scored = {"iou": float(pixels["iou"]), "f1": float(pixels["f1"]), "object_f1": float(objects["f1"])}
        rows.append({"label": label, "pictures": int(here.sum()), **scored})
    return rows


def _share_labels() -> list[str]:
    bounds = [0, *(round(100 * share) for share in SHARES)]
    between = [f"{low} to {high} %" for low, high in pairwise(bounds)]
    return [*between, f"above {bounds[-1]} %"]


def score_published(tally: Tally, paper: str, *, max_dets: int) -> dict[str, float]:
    """Score as published code does (see `rooftop.metrics.published`); NaN where there is nothing."""
    sums = tally.table["published"].sum(axis=0)
    above, below = sums[::2], sums[1::2]
    means = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0).tolist()
    if paper == "hisup":
        return dict(zip(("polis", "c_iou"), means, strict=True))
    predicted = tally.table["polygon"][:, COLUMNS.index("said")] > 0
    found = object_scores(tally.masks, max_dets=max_dets, weights=predicted.astype(np.int64))
    return {"max_tangent_angle": means[0], "ap": found["ap"], "ap50": found["ap50"], "ar": found["ar"]}


def _of_sums(sums: dict[str, Floats]) -> Draws:
    """Divide sums, float64 (..., m) for each group: scores (...)."""
    pixel, band = (ratios(_counts(_categories_summed(sums[group]))) for group in ("pixel", "band"))
    outline, objects = _outline_f1(sums["outline"]), ratios(_counts(sums["object"]))
    return {
        "pixel": dict(pixel),
        "boundary": {"iou": band["iou"], **outline},
        "object": {name: objects[name] for name in ("f1", "precision", "recall")},
        "polygon": polygon_scores(sums["polygon"]),
    }


def _averages(tally: Tally, max_dets: int) -> Callable[[Weights | None], dict[str, float]]:
    def averages(weights: Weights | None) -> dict[str, float]:
        masks = object_scores(tally.masks, max_dets=max_dets, weights=weights)
        return masks | boundary_scores(tally.boundaries, max_dets=max_dets, weights=weights)

    return averages


def _of_histogram(found: Histogram) -> dict[str, float]:
    return {"ap": average_precision(found), "ece": calibration_error(found)}


def _shifted(tally: Tally, sums: Floats) -> dict[str, Floats]:
    """Score coarse histograms of draws, (rounds, 3 COARSE), moved by what coarse bins change on the whole split."""
    fine = _of_histogram(tally.histogram)
    coarse = _of_histogram(_bins(tally.table["histogram"].sum(axis=0)))
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
