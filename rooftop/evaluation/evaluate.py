"""Evaluate a split picture by picture; write `predictions.coco.json`, `scores.json` and `per_image.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rooftop.coco import Result, write_results
from rooftop.errors import ConfigError
from rooftop.evaluation.cases import Case, Cases
from rooftop.evaluation.counts import PUBLISHED, PictureCounts, SplitCounts, count_picture
from rooftop.evaluation.score import (
    LABELS,
    Draws,
    Sections,
    intervals,
    score,
    score_categories,
    score_draws,
    score_published,
    score_sizes,
)
from rooftop.files import atomic_write, write_json
from rooftop.metrics.bootstrap import FEWEST_PICTURES, LEVEL
from rooftop.metrics.curve import best_threshold
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygons import COLUMNS
from rooftop.metrics.shift import COLUMNS as SHIFT_COLUMNS
from rooftop.metrics.shift import shift_scores
from rooftop.raster.rasterise import rings
from rooftop.run import versions

PREDICTIONS = "predictions.coco.json"
FLOATS = ".6g"  # format of scores in per_image.csv
MAIN_SCORES = (  # printed at the end
    *(f"pixel.{name}" for name in ("iou", "f1", "precision", "recall", "accuracy")),
    *("boundary.iou", "object.ap", "object.ap50", "object.f1", "object.pq", "polygon.polis"),
)


@dataclass(frozen=True)
class Settings:
    """How to score.

    Attributes:
        max_dets: predictions of a picture used for the object scores.
        rounds: number of bootstrap draws.
        seed: of the bootstrap.
        as_published: "hisup" or "ffl" adds the scores of that paper's code; or None.
        examples: pictures of each group (best, median, worst) in the report.
    """

    max_dets: int
    rounds: int
    seed: int
    as_published: str | None
    examples: int


@dataclass(frozen=True)
class Evaluation:
    """A scored split.

    Attributes:
        subject: plain values for `scores.json`: the run or file, the data, the threshold.
        settings: how it was scored.
        counts: of all pictures.
        scores: of the split.
        draws: scores of the bootstrap draws.
    """

    subject: dict[str, Any]
    settings: Settings
    counts: SplitCounts
    scores: Sections
    draws: Draws


def evaluate_split(cases: Cases, folder: Path, settings: Settings, subject: dict[str, Any]) -> Evaluation:
    """Score all pictures and write `predictions.coco.json`.

    Args:
        cases: the pictures.
        folder: for the predictions.
        settings: how to score.
        subject: plain values for `scores.json`.

    Raises:
        ConfigError: a setting is out of range, or there is no picture.
    """
    _check(settings)
    if not len(cases):
        raise ConfigError("there is no picture to score; choose another split.")
    pictures: list[PictureCounts] = []
    write_results(folder / PREDICTIONS, _results(cases, settings, pictures))
    counts = SplitCounts(pictures, [name for _, name in cases.categories])
    return Evaluation(
        subject,
        settings,
        counts,
        score(counts, max_dets=settings.max_dets),
        score_draws(counts, max_dets=settings.max_dets, rounds=settings.rounds, seed=settings.seed),
    )


def _check(settings: Settings) -> None:
    if settings.as_published not in (None, *PUBLISHED):
        raise ConfigError(f"as_published={settings.as_published}: choose one of {', '.join(PUBLISHED)}.")
    for name, value in (("bootstrap.rounds", settings.rounds), ("max_dets", settings.max_dets)):
        if value < 1:
            raise ConfigError(f"{name}={value}: must be at least 1.")


def _results(cases: Cases, settings: Settings, pictures: list[PictureCounts]) -> Iterator[Result]:
    """Yield the predictions and append the counts of each picture to `pictures`.

    As a generator it feeds the writer, so no more than one picture is in memory.
    """
    categories = [number for number, _ in cases.categories]
    for i in track(range(len(cases)), description="evaluate"):
        case = cases[i]
        pictures.append(count_picture(case, max_dets=settings.max_dets, as_published=settings.as_published))
        yield from _found(case, categories)


def _found(case: Case, categories: list[int]) -> Iterator[Result]:
    for category, roofs in zip(categories, case.found, strict=True):
        for rle, sure, outline in zip(roofs.rles, roofs.scores.tolist(), roofs.outlines, strict=True):
            yield Result(case.picture_id, category, sure, rle, outline and rings(outline))


def scores_record(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of `scores.json`: plain values, null if there is nothing to score, intervals separately."""
    sizes = score_sizes(evaluation.counts)
    invented, fragments = evaluation.counts.table["kinds"].sum(axis=0)[-2:].astype(int).tolist()
    record: dict[str, Any] = {
        **evaluation.scores,
        "intervals": {"level": LEVEL, **intervals(evaluation.draws)},
        "categories": score_categories(evaluation.counts),
        "errors": {kind: sum(row[kind] for row in sizes) for kind in KINDS}
        | {"invented": invented, "fragments": fragments},
        "sizes": sizes,
    }
    if evaluation.counts.histogram.positive.any():
        # For information only: choose a threshold on validation; chosen on test it makes the score too good.
        record["best_threshold"] = best_threshold(evaluation.counts.histogram)
    paper = evaluation.settings.as_published
    if paper:
        published = score_published(evaluation.counts, paper, max_dets=evaluation.settings.max_dets)
        record["as_published"] = {paper: published}
    record |= {**evaluation.subject, "pictures": len(evaluation.counts)}
    written: dict[str, Any] = nan_to_null(record | {"settings": asdict(evaluation.settings), "versions": versions()})
    return written


def write_scores(path: Path, evaluation: Evaluation) -> None:
    """Write `scores.json`."""
    write_json(path, scores_record(evaluation))


def write_per_image(path: Path, counts: SplitCounts) -> None:
    """Write one row of scores for each picture, in the order of the split."""
    rows = per_image(counts)
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[i] for i in np.argsort(counts.positions))


def print_scores(evaluation: Evaluation, folder: Path) -> None:
    """Print the main scores and the paths of the files."""
    between = intervals(evaluation.draws)
    listed = Table(title=f"{len(evaluation.counts):,} pictures")
    for column in ("score", "value", "95 % over pictures"):
        listed.add_column(column, justify="left" if column == "score" else "right")
    for name in MAIN_SCORES:
        section, key = name.split(".")
        value, (low, high) = evaluation.scores[section][key], between[section][key]
        listed.add_row(LABELS[name][0], f"{value:.4f}", f"{low:.3f} - {high:.3f}")
    Console().print(listed)
    for line in few_pictures(len(evaluation.counts)):
        print(line)
    print(f"written: {folder}\nlook at: {folder / 'report.html'}")


def few_pictures(pictures: int) -> list[str]:
    """Warn of intervals over few pictures, in a sentence; none for enough of them."""
    if pictures >= FEWEST_PICTURES:
        return []
    return [
        f"Only {pictures} picture{'s' * (pictures != 1)}: intervals over fewer than {FEWEST_PICTURES} are too narrow "
        "to judge by; score more pictures."
    ]


def per_image(counts: SplitCounts) -> list[dict[str, Any]]:
    """Score each picture separately, all categories together, in the order of `counts.pictures`."""
    table = counts.table
    pixel, band = (table[group].reshape(len(counts), -1, 4).sum(axis=1).astype(np.int64) for group in ("pixel", "band"))
    scored, boundary = ratios(Counts(*pixel.T)), ratios(Counts(*band.T))["iou"]
    polygon = dict(zip(COLUMNS, table["polygon"].T, strict=True))
    shift = dict(zip(SHIFT_COLUMNS, table["shifted"].T, strict=True))
    roof_pixels = pixel[:, 0] + pixel[:, 2]
    columns: dict[str, Any] = {
        "picture": [each.name for each in counts.pictures],
        **{name: _text(values) for name, values in scored.items()},
        "boundary_iou": _text(boundary),
        "roof_share": _text(roof_pixels * len(counts.names) / np.maximum(pixel.sum(axis=1), 1)),
        **{name: pixel[:, i].tolist() for i, name in enumerate(("tp", "fp", "fn", "tn"))},
        **{name: table["object"][:, i].astype(int).tolist() for i, name in enumerate(("found", "invented", "missed"))},
        "c_iou": _text(polygon["c_iou"] / polygon["pictures"]),
        "shifted_iou": _text(shift_scores(table["shifted"])["iou"]),
        **{f"shift_{way}_px": _text(shift[way]) for way in ("right", "down")},
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _text(values: Any) -> list[str]:
    """Format numbers; an unknown one is empty."""
    return ["" if math.isnan(value) else format(float(value), FLOATS) for value in values]


def nan_to_null(value: Any) -> Any:
    """Replace NaN and infinity by None, and tuples by lists, at every depth: JSON has none of them."""
    if isinstance(value, dict):
        return {key: nan_to_null(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
