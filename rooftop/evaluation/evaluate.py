"""Evaluate a split: lay prediction over truth picture by picture, count, score, and write everything down."""

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
from rooftop.evaluation.counts import PUBLISHED, Measured, Tally, measure
from rooftop.evaluation.score import (
    WORDS,
    Draws,
    Sections,
    intervals,
    score,
    score_categories,
    score_draws,
    score_published,
    score_sizes,
)
from rooftop.files import whole, write_json
from rooftop.metrics.bootstrap import LEVEL
from rooftop.metrics.curve import best_threshold
from rooftop.metrics.objects.kinds import KINDS
from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygon import COLUMNS
from rooftop.raster.runs import rings
from rooftop.run import versions

PREDICTIONS = "predictions.coco.json"


@dataclass(frozen=True)
class Settings:
    """How to score.

    max_dets: predictions of a picture that the object scores look at. rounds, seed: of the bootstrap. as_published:
    hisup, ffl or None. examples: pictures of each kind (best, median, worst) in the report.
    """

    max_dets: int
    rounds: int
    seed: int
    as_published: str | None
    examples: int


@dataclass(frozen=True)
class Evaluated:
    """A scored split. subject: what was scored on what, plain values for the record."""

    subject: dict[str, Any]
    settings: Settings
    tally: Tally
    scores: Sections
    draws: Draws


def evaluate_split(cases: Cases, folder: Path, settings: Settings, subject: dict[str, Any]) -> Evaluated:
    """Score all pictures and write `predictions.coco.json` on the way.

    Raises:
        ConfigError: a setting that cannot be, or no picture.
    """
    _check(settings)
    if not len(cases):
        raise ConfigError("there is no picture to score; choose another split.")
    measured: list[Measured] = []
    write_results(folder / PREDICTIONS, _results(cases, settings, measured))
    tally = Tally(measured, [name for _, name in cases.categories])
    return Evaluated(
        subject,
        settings,
        tally,
        score(tally, max_dets=settings.max_dets),
        score_draws(tally, max_dets=settings.max_dets, rounds=settings.rounds, seed=settings.seed),
    )


def _check(settings: Settings) -> None:
    if settings.as_published not in (None, *PUBLISHED):
        raise ConfigError(f"as_published={settings.as_published}: choose one of {', '.join(PUBLISHED)}.")
    for name, value in (("bootstrap.rounds", settings.rounds), ("max_dets", settings.max_dets)):
        if value < 1:
            raise ConfigError(f"{name}={value}: must be at least 1.")


def _results(cases: Cases, settings: Settings, measured: list[Measured]) -> Iterator[Result]:
    """Give what was found, picture by picture, so that it is written while the pictures are measured."""
    categories = [number for number, _ in cases.categories]
    for i in track(range(len(cases)), description="evaluate"):
        case = cases[i]
        measured.append(measure(case, max_dets=settings.max_dets, as_published=settings.as_published))
        yield from _found(case, categories)


def _found(case: Case, categories: list[int]) -> Iterator[Result]:
    for category, roofs in zip(categories, case.found, strict=True):
        for rle, sure, outline in zip(roofs.rles, roofs.scores.tolist(), roofs.outlines, strict=True):
            yield Result(case.picture_id, category, sure, rle, outline and rings(outline))


FLOATS = ".6g"
TOLD = (
    *(f"pixel.{name}" for name in ("iou", "f1", "precision", "recall", "accuracy")),
    *("boundary.iou", "object.ap", "object.ap50", "object.f1", "polygon.polis"),
)


def scores_record(done: Evaluated) -> dict[str, Any]:
    """Put all scores into plain values: null where there is nothing to score, intervals beside the numbers."""
    sizes = score_sizes(done.tally)
    invented, fragments = done.tally.table["kinds"].sum(axis=0)[-2:].astype(int).tolist()
    record: dict[str, Any] = {
        **done.scores,
        "intervals": {"level": LEVEL, **intervals(done.draws)},
        "categories": score_categories(done.tally),
        "errors": {kind: sum(row[kind] for row in sizes) for kind in KINDS}
        | {"invented": invented, "fragments": fragments},
        "sizes": sizes,
    }
    if done.tally.histogram.positive.any():
        # For the eye: to use it, choose it on validation; chosen on test it flatters the score.
        record["best_threshold"] = best_threshold(done.tally.histogram)
    paper = done.settings.as_published
    if paper:
        published = score_published(done.tally, paper, max_dets=done.settings.max_dets)
        record["as_published"] = {paper: published}
    record |= {**done.subject, "pictures": len(done.tally)}
    written: dict[str, Any] = plain(record | {"settings": asdict(done.settings), "versions": versions()})
    return written


def write_scores(path: Path, done: Evaluated) -> None:
    """Write `scores.json`."""
    write_json(path, scores_record(done))


def write_per_image(path: Path, tally: Tally) -> None:
    """Write one row of scores a picture, in the order of the split."""
    rows = per_image(tally)
    with whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[place] for place in np.argsort(tally.places))


def print_scores(done: Evaluated, folder: Path) -> None:
    """Tell the scores that matter most, and where the rest lies."""
    between = intervals(done.draws)
    listed = Table(title=f"{len(done.tally):,} pictures")
    for column in ("score", "value", "95 %"):
        listed.add_column(column, justify="left" if column == "score" else "right")
    for name in TOLD:
        section, key = name.split(".")
        value, (low, high) = done.scores[section][key], between[section][key]
        listed.add_row(WORDS[name][0], f"{value:.4f}", f"{low:.3f} - {high:.3f}")
    Console().print(listed)
    print(f"written: {folder}\nlook at: {folder / 'report.html'}")


def per_image(tally: Tally) -> list[dict[str, Any]]:
    """Score each picture by itself, in the order of the tally; all categories together."""
    table = tally.table
    pixel, band = (table[group].reshape(len(tally), -1, 4).sum(axis=1).astype(np.int64) for group in ("pixel", "band"))
    scored, boundary = ratios(Counts(*pixel.T)), ratios(Counts(*band.T))["iou"]
    polygon = dict(zip(COLUMNS, table["polygon"].T, strict=True))
    roof_pixels = pixel[:, 0] + pixel[:, 2]
    columns: dict[str, Any] = {
        "picture": [each.name for each in tally.pictures],
        **{name: _text(values) for name, values in scored.items()},
        "boundary_iou": _text(boundary),
        "roof_share": _text(roof_pixels * len(tally.names) / np.maximum(pixel.sum(axis=1), 1)),
        **{name: pixel[:, i].tolist() for i, name in enumerate(("tp", "fp", "fn", "tn"))},
        **{name: table["object"][:, i].astype(int).tolist() for i, name in enumerate(("found", "invented", "missed"))},
        "c_iou": _text(polygon["c_iou"] / polygon["pictures"]),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _text(values: Any) -> list[str]:
    return [format(float(value), FLOATS) for value in values]


def plain(value: Any) -> Any:
    """Turn NaN and infinity into None, tuples into lists."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
