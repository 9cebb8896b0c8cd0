"""The files of an evaluation that programs read: `scores.json` and `per_image.csv`."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rooftop.evaluation.score import intervals, score_categories, score_published, score_sizes
from rooftop.evaluation.split import Evaluated
from rooftop.evaluation.tally import Tally
from rooftop.evaluation.words import WORDS
from rooftop.files import atomic_write, write_json
from rooftop.metrics.bootstrap import LEVEL
from rooftop.metrics.curve import best_threshold
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygons import COLUMNS
from rooftop.run import versions

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
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
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
