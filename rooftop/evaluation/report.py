"""`report.html`: scores, curves, example pictures and errors by kind, size and share of roofs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rooftop.evaluation.cases import Cases
from rooftop.evaluation.evaluate import Evaluation, few_pictures
from rooftop.evaluation.examples import examples
from rooftop.evaluation.score import LABELS, SECTIONS, intervals, score_shares, score_sizes
from rooftop.html import write_page
from rooftop.metrics.bootstrap import Interval
from rooftop.metrics.curve import best_threshold, precision_recall, reliability, thresholds
from rooftop.metrics.error_kinds import KINDS
from rooftop.metrics.objects import RECALLS, precision_curve
from rooftop.plots.charts import Curve, precision_recall_chart, reliability_chart
from rooftop.plots.panels import FALSE, HIT, MISS
from rooftop.run import versions

HEADLINES = ("pixel.iou", "pixel.f1", "boundary.iou", "object.ap50")
ERROR_COLOURS = {"roof found": f"rgb{HIT}", "roof missed": f"rgb{MISS}", "false roof": f"rgb{FALSE}"}
KIND_COLOURS = {"found": "#56B4E9", "merged": "#CC79A7", "ragged": "#009E73", "split": "#E69F00", "missed": "#F0E442"}
KIND_MEANINGS = {
    "found": "matched, outline included",
    "merged": "one prediction covers this roof and another one",
    "ragged": "matched, but the outline is off",
    "split": "several predictions share this roof",
    "missed": "no prediction matches it (IoU 0.5)",
    "invented": "a prediction mostly on no roof",
    "fragments": "a small piece beside a matched roof",
}


def write_report(path: Path, evaluation: Evaluation, cases: Cases) -> None:
    """Write the report; the pictures in it are predicted a second time."""
    shown, crops = examples(cases, evaluation.counts, evaluation.settings.examples)
    settings = {**evaluation.subject, **asdict(evaluation.settings), "versions": versions()}
    write_page(
        path,
        "evaluation.html",
        subject={"pictures": f"{len(evaluation.counts):,}", **_described(evaluation.subject)},
        headlines=_headlines(evaluation),
        warnings=few_pictures(len(evaluation.counts)),
        precision_recall=_precision_recall(evaluation),
        reliability=_reliability(evaluation),
        examples=shown,
        crops={kind: found for kind, found in crops.items() if found},
        error_colours=ERROR_COLOURS,
        kinds=_kinds(evaluation),
        kind_colours=KIND_COLOURS,
        sizes=_sizes(evaluation),
        shares=[row for row in score_shares(evaluation.counts) if row["pictures"]],
        sections=_sections(evaluation),
        settings=json.dumps(settings, indent=2, default=str),
    )


def _described(subject: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a record for the head of a page, with readable names."""
    return {
        name.replace("_", " "): value
        for name, value in subject.items()
        if value is not None and not isinstance(value, dict)
    }


def score_row(key: str, **values: Any) -> dict[str, Any]:
    """Return the label and the meaning of a score ("section.name") with `values`, as the templates expect them."""
    label, meaning = LABELS[key]
    return {"label": label, "meaning": meaning, **values}


def _headlines(evaluation: Evaluation) -> list[dict[str, Any]]:
    between = intervals(evaluation.draws)
    rows = []
    for key in HEADLINES:
        section, name = key.split(".")
        bounds = between[section].get(name)
        value = evaluation.scores[section].get(name)
        rows.append(score_row(key, value=value, interval=bounds, range=_range(bounds)))
    return rows


def _range(bounds: Interval | None) -> dict[str, str] | None:
    """Position and width of an interval on a bar from 0 to 1, in percent."""
    if bounds is None or math.isnan(bounds[0]):
        return None
    low, high = bounds
    return {"left": f"{low:.1%}", "width": f"{high - low:.1%}"}


def _precision_recall(evaluation: Evaluation) -> str:
    """Chart of pixels, with the thresholds marked, and of roofs at two IoU."""
    found = evaluation.counts.histogram
    curves: dict[str, Curve] = {}
    points: dict[str, tuple[float, float]] = {}
    if found.positive.any():
        precision, recall = precision_recall(found)
        curves["pixels"] = (recall, precision)
        best = best_threshold(found)
        marked = {f"best threshold here, {best:.2f}": best}
        if evaluation.subject.get("threshold") is not None:
            marked[f"threshold used, {evaluation.subject['threshold']:.2f}"] = float(evaluation.subject["threshold"])
        for name, threshold in marked.items():
            i = int(np.searchsorted(thresholds(), threshold, side="right")) - 1
            points[name] = (float(recall[i]), float(precision[i]))
    for name, i in (("roofs at IoU 0.5", 0), ("roofs at IoU 0.75", 5)):
        sought = [ranks for ranks in evaluation.counts.masks if ranks.positives[:, 0].any()]  # as in AP
        each = [precision_curve(ranks, i, max_dets=evaluation.settings.max_dets) for ranks in sought]
        curves[name] = (RECALLS, np.mean(each, axis=0) if each else np.zeros(len(RECALLS)))
    return precision_recall_chart(curves, points)


def _reliability(evaluation: Evaluation) -> str | None:
    """Chart of the probabilities; None if the predictions have none."""
    found = evaluation.counts.histogram
    if not (found.negative.any() or found.positive.any()):
        return None
    return reliability_chart(*reliability(found))


def _kinds(evaluation: Evaluation) -> list[dict[str, Any]]:
    totals = {kind: sum(int(row[kind]) for row in score_sizes(evaluation.counts)) for kind in KINDS}
    roofs = sum(totals.values())
    shares = {kind: n / roofs if roofs else None for kind, n in totals.items()}
    counted = evaluation.counts.table["kinds"].sum(axis=0)[-2:].astype(int).tolist()
    totals |= dict(zip(("invented", "fragments"), counted, strict=True))
    return [
        {
            "name": kind,
            "meaning": KIND_MEANINGS[kind],
            "colour": KIND_COLOURS.get(kind),
            "roofs": n,
            "share": shares.get(kind),
        }
        for kind, n in totals.items()
    ]


def _sizes(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "label": _side(row["from"], row["to"]),
            "roofs": int(row["roofs"]),
            "shares": {kind: row[kind] / row["roofs"] for kind in KINDS},
        }
        for row in score_sizes(evaluation.counts)
        if row["roofs"]
    ]


def _side(low: float, high: float) -> str:
    """Bounds of an area in square pixels as the side of a square."""
    sides = [round(bound**0.5) if np.isfinite(bound) else None for bound in (low, high)]
    if sides[1] is None:
        return f"above {sides[0]} px"
    return f"{sides[0]} to {sides[1]} px" if sides[0] else f"below {sides[1]} px"


def _sections(evaluation: Evaluation) -> list[dict[str, Any]]:
    between = intervals(evaluation.draws)
    return [
        {
            "title": title,
            "rows": [
                score_row(f"{section}.{name}", value=value, interval=between[section].get(name))
                for name, value in evaluation.scores[section].items()
            ],
        }
        for section, title in SECTIONS.items()
    ]
