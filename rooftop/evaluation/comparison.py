"""Several systems on the same pictures: a table, a chart, and the differences with their intervals."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rooftop.errors import DataError
from rooftop.evaluation.evaluate import MAIN_SCORES, Evaluation, nan_to_null
from rooftop.evaluation.report import score_row
from rooftop.evaluation.score import LABELS, SECTIONS, intervals
from rooftop.files import atomic_write, write_json
from rooftop.html import write_page
from rooftop.metrics.bootstrap import Interval, compare
from rooftop.plots.charts import interval_chart

PLOTTED = (
    "pixel.iou",
    "pixel.f1",
    "boundary.iou",
    "boundary.f1_2px",
    "object.f1",
    "object.pq",
    "object.ap",
    "object.ap50",
)


@dataclass(frozen=True)
class Difference:
    """Difference of a score between a system and the first one.

    Attributes:
        value: score of the system minus score of the first one.
        interval: 95 % interval of the difference, from the same bootstrap draws.
        higher: share of the draws with a higher score than the first one; a tie counts half.
    """

    value: float
    interval: Interval
    higher: float

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero: the difference is more than chance."""
        return self.interval[0] > 0 or self.interval[1] < 0


Differences = dict[str, dict[str, Difference]]  # section -> name


def write_comparison(folder: Path, systems: Mapping[str, Evaluation]) -> None:
    """Write `comparison.json`, `.csv` and `.html`, and print the table.

    Args:
        folder: where to write.
        systems: by name, at least two; each is compared with the first one.

    Raises:
        DataError: the systems were scored on different pictures.
    """
    first, *others = systems
    for other in others:
        _check_alike(first, systems[first], other, systems[other])
    differences = {other: differ(systems[other], systems[first]) for other in others}
    write_json(folder / "comparison.json", _record(systems, differences))
    rows = _rows(systems, differences)
    with atomic_write(folder / "comparison.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, list(rows[0])).writeheader()
        csv.DictWriter(file, list(rows[0])).writerows(rows)
    _write_report(folder / "comparison.html", systems, differences)
    _print(systems, differences)
    print(f"written: {folder}\nlook at: {folder / 'comparison.html'}")


def differ(system: Evaluation, first: Evaluation) -> Differences:
    """Compare the scores of two systems, draw by draw; scores of only one of them are left out."""
    found: Differences = {}
    for section, scores in system.scores.items():
        for name, value in scores.items():
            if name in first.scores[section]:
                interval, higher = compare(system.draws[section][name], first.draws[section][name])
                gap = value - first.scores[section][name]
                found.setdefault(section, {})[name] = Difference(gap, interval, higher)
    return found


def _check_alike(first: str, one: Evaluation, other: str, two: Evaluation) -> None:
    names = [[each.name for each in system.counts.pictures] for system in (one, two)]
    if names[0] != names[1]:
        raise DataError(f"{first} and {other} were scored on different pictures; compare them on one split.")


def _record(systems: Mapping[str, Evaluation], differences: Mapping[str, Differences]) -> dict[str, Any]:
    first = next(iter(systems))
    compared = {
        name: {
            section: {key: {"value": d.value, "interval": d.interval, "higher": d.higher} for key, d in found.items()}
            for section, found in each.items()
        }
        for name, each in differences.items()
    }
    scored = {
        name: {**each.scores, "intervals": intervals(each.draws), **each.subject} for name, each in systems.items()
    }
    record: dict[str, Any] = nan_to_null({"systems": scored, "compared_with": first, "differences": compared})
    return record


def _rows(systems: Mapping[str, Evaluation], differences: Mapping[str, Differences]) -> list[dict[str, Any]]:
    """One row for each score: its value for each system, and the difference with its interval for all but the first."""
    rows = []
    for section in SECTIONS:
        for name in next(iter(systems.values())).scores[section]:
            row: dict[str, Any] = {"score": f"{section}.{name}"}
            for system, evaluation in systems.items():
                row[system] = evaluation.scores[section].get(name)
                if system in differences:
                    d = differences[system].get(section, {}).get(name)
                    low, high = d.interval if d else (None, None)
                    row |= {
                        f"{system} difference": d.value if d else None,
                        f"{system} low": low,
                        f"{system} high": high,
                    }
            rows.append(row)
    return rows


def _write_report(path: Path, systems: Mapping[str, Evaluation], differences: Mapping[str, Differences]) -> None:
    first, *others = systems
    letters = [chr(ord("A") + i) for i in range(len(systems))]
    named = {
        f"{letter}: {name}": evaluation for letter, (name, evaluation) in zip(letters, systems.items(), strict=True)
    }
    plotted = {name: [_triple(evaluation, *key.split(".")) for key in PLOTTED] for name, evaluation in named.items()}
    sections = [
        {
            "id": section,
            "title": title,
            "rows": [
                score_row(
                    f"{section}.{name}",
                    scores=[evaluation.scores[section].get(name) for evaluation in systems.values()],
                    differences=[differences[other].get(section, {}).get(name) for other in others],
                )
                for name in systems[first].scores[section]
            ],
        }
        for section, title in SECTIONS.items()
    ]
    write_page(
        path,
        "comparison.html",
        subject={"pictures": f"{len(systems[first].counts):,}", **dict(zip(letters, systems, strict=True))},
        letters=letters,
        chart=interval_chart([LABELS[key][0] for key in PLOTTED], plotted),
        sections=sections,
    )


def _triple(evaluation: Evaluation, section: str, name: str) -> tuple[float, float, float]:
    return (evaluation.scores[section][name], *intervals(evaluation.draws)[section][name])


def _print(systems: Mapping[str, Evaluation], differences: Mapping[str, Differences]) -> None:
    listed = Table(title="* more than chance: the interval of the difference excludes zero")
    listed.add_column("score")
    for name in systems:
        listed.add_column(name, justify="right")
    for key in MAIN_SCORES:
        section, name = key.split(".")
        cells = []
        for system, evaluation in systems.items():
            found = differences.get(system, {}).get(section, {}).get(name)
            cells.append(f"{evaluation.scores[section][name]:.4f}{'*' if found and found.certain else ' '}")
        listed.add_row(LABELS[key][0], *cells)
    Console().print(listed)
