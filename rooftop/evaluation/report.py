"""`report.html`: what the scores are, where they come from, and what the errors look like."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rooftop.evaluation.cases import Cases
from rooftop.evaluation.examples import Crop, Example, examples
from rooftop.evaluation.page import bars, image, key, number, span, table, write_page
from rooftop.evaluation.score import intervals, score_shares, score_sizes
from rooftop.evaluation.split import Evaluated
from rooftop.evaluation.words import KIND_COLOURS, KIND_WORDS, SECTIONS, WORDS
from rooftop.metrics.curve import best_threshold, precision_recall, reliability, thresholds
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.objects import RECALLS, precision_curve
from rooftop.plots.charts import precision_recall_chart, reliability_chart
from rooftop.plots.panels import FALSE, HIT, MISS
from rooftop.run import versions

COLUMNS = '<div class="triple"><b>truth</b><b>prediction</b><b>errors</b></div>'
ERROR_COLOURS = {"roof found": f"rgb{HIT}", "roof missed": f"rgb{MISS}", "false roof": f"rgb{FALSE}"}
HEADLINES = ("pixel.iou", "pixel.f1", "boundary.iou", "object.ap50")


def write_report(path: Path, done: Evaluated, cases: Cases) -> None:
    """Write the report; the pictures in it are predicted once more."""
    drawn, crops = examples(cases, done.tally, done.settings.examples)
    parts = [_head(done), _curves(done), _pictures(drawn), _kinds(done, crops), _sizes(done), _shares(done)]
    write_page(path, "Rooftops: evaluation", "\n".join([*parts, _scores(done), _settings(done)]))


def _head(done: Evaluated) -> str:
    plain = {name: value for name, value in done.subject.items() if value is not None and not isinstance(value, dict)}
    subject = " · ".join(escape(f"{name.replace('_', ' ')}: {value}") for name, value in plain.items())
    between = intervals(done.draws)
    tiles = ""
    for name in HEADLINES:
        section, key_ = name.split(".")
        value, low_high = done.scores[section].get(key_), between[section].get(key_)
        tiles += f'<div class="tile">{WORDS[name][0]}<b>{number(value)}</b><small>{span(low_high)}</small></div>'
    return (
        f'<h1>How well are the roofs found?</h1>\n<p class="soft">{len(done.tally):,} pictures · {subject}</p>'
        f'<div class="tiles">{tiles}</div><small>Below each score: where it lies in 95 of 100 draws of the '
        "pictures (bootstrap).</small>"
    )


def _curves(done: Evaluated) -> str:
    found = done.tally.histogram
    curves, points = {}, {}
    if found.positive.any():
        precision, recall = precision_recall(found)
        curves["pixels"] = (recall, precision)
        cut = best_threshold(found)
        at = {f"best threshold here, {cut:.2f}": cut}
        if done.subject.get("threshold") is not None:
            at[f"threshold used, {done.subject['threshold']:.2f}"] = float(done.subject["threshold"])
        for name, value in at.items():
            place = int(np.searchsorted(thresholds(), value, side="right")) - 1
            points[name] = (float(recall[place]), float(precision[place]))
    for label, threshold in (("roofs at IoU 0.5", 0), ("roofs at IoU 0.75", 5)):
        sought = [ranks for ranks in done.tally.masks if ranks.positives[:, 0].any()]  # as in AP
        each = [precision_curve(ranks, threshold, max_dets=done.settings.max_dets) for ranks in sought]
        curves[label] = (RECALLS, np.mean(each, axis=0) if each else np.zeros(len(RECALLS)))
    left = f"<figure>{precision_recall_chart(curves, points)}<figcaption>Precision over recall.</figcaption></figure>"
    if not (found.negative.any() or found.positive.any()):
        return f"<h2>Curves</h2>{left}"
    right = (
        f"<figure>{reliability_chart(*reliability(found))}<figcaption>Reliability: below the dotted line the run is "
        "too sure of roofs, above it not sure enough.</figcaption></figure>"
    )
    return f'<h2>Curves</h2><div class="two">{left}{right}</div>'


def _kinds(done: Evaluated, crops: dict[str, list[Crop]]) -> str:
    totals = {kind: sum(int(row[kind]) for row in score_sizes(done.tally)) for kind in KINDS}
    roofs = sum(totals.values())
    rows = [
        [f"{kind}<small>{KIND_WORDS[kind]}</small>", f"{n:,}", f"{n / roofs:.1%}" if roofs else "–"]
        for kind, n in totals.items()
    ]
    for kind, n in zip(("invented", "fragments"), done.tally.table["kinds"].sum(axis=0)[-2:], strict=True):
        rows.append([f"{kind}<small>{KIND_WORDS[kind]}</small>", f"{int(n):,}", ""])
    listed = table(["kind", "roofs", "of true roofs"], rows)
    shown = "".join(_crop_row(kind, found) for kind, found in crops.items() if found)
    largest = f"<p>The largest ones in the pictures above, outlined in black:</p>{key(ERROR_COLOURS)}" if shown else ""
    return f"<h2>Errors, sorted by kind</h2>{listed}{largest}{shown}"


def _crop_row(kind: str, crops: list[Crop]) -> str:
    cells = "".join(
        f'<div class="pair">{image(crop.picture, f"{kind} roof in {crop.name}")}'
        f"{image(crop.errors, f'errors there: {kind}')}</div>"
        for crop in crops
    )
    return f'<h3>{kind.capitalize()}</h3><div class="crops">{cells}</div>'


def _sizes(done: Evaluated) -> str:
    rows = [row for row in score_sizes(done.tally) if row["roofs"]]
    if not rows:
        return ""
    shares = {
        f"{_side(row['from'], row['to'])} ({int(row['roofs']):,})": {kind: row[kind] / row["roofs"] for kind in KINDS}
        for row in rows
    }
    return (
        "<h2>By size of roof</h2><p>What became of the true roofs, by the side of a square of their area (and how "
        f"many there are).</p>{bars(shares, KIND_COLOURS)}"
    )


def _side(low: float, high: float) -> str:
    sides = [round(bound**0.5) if np.isfinite(bound) else None for bound in (low, high)]
    if sides[1] is None:
        return f"above {sides[0]} px"
    return f"{sides[0]} to {sides[1]} px" if sides[0] else f"below {sides[1]} px"


def _shares(done: Evaluated) -> str:
    rows = [
        [escape(row["label"]), f"{row['pictures']:,}", *(number(row[name]) for name in ("iou", "f1", "object_f1"))]
        for row in score_shares(done.tally)
        if row["pictures"]
    ]
    listed = table(["share of the picture that is roof", "pictures", "IoU", "F1", "roof F1"], rows)
    return f"<h2>By share of roofs</h2>{listed}"


def _pictures(drawn: dict[str, list[Example]]) -> str:
    groups = ""
    for group, found in drawn.items():
        figures = "".join(
            f'<figure><div class="triple">{image(e.truth, f"truth of {e.name}")}'
            f"{image(e.prediction, f'prediction of {e.name}')}{image(e.errors, f'errors of {e.name}')}</div>"
            f"<figcaption>IoU {number(e.iou)} · {escape(e.name)}</figcaption></figure>"
            for e in found
        )
        groups += f"<h3>{group.capitalize()}</h3>{COLUMNS}{figures}"
    return f"<h2>Pictures</h2><p>Best, median and worst by IoU.</p>{key(ERROR_COLOURS)}{groups}"


def _scores(done: Evaluated) -> str:
    between: dict[str, dict[str, Any]] = intervals(done.draws)
    blocks = ""
    for section, title in SECTIONS.items():
        rows = []
        for name, value in done.scores[section].items():
            label, words = WORDS[f"{section}.{name}"]
            rows.append([f"{label}<small>{words}</small>", number(value), span(between[section].get(name))])
        blocks += f"<div><h3>{title}</h3>{table(['score', 'value', '95 %'], rows)}</div>"
    return f'<h2>All scores</h2><div class="two">{blocks}</div>'


def _settings(done: Evaluated) -> str:
    record = {**done.subject, **asdict(done.settings), "versions": versions()}
    return f"<h2>How it was made</h2><pre>{escape(json.dumps(record, indent=2, default=str))}</pre>"
