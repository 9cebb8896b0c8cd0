"""Several systems on the same pictures: one table, one plot, and which differences are more than chance."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rooftop.errors import DataError
from rooftop.evaluation.page import number, span, table, write_page
from rooftop.evaluation.record import TOLD, plain
from rooftop.evaluation.score import intervals
from rooftop.evaluation.split import Evaluated
from rooftop.evaluation.words import SECTIONS, WORDS
from rooftop.files import atomic_write, write_json
from rooftop.metrics.bootstrap import Interval, compare
from rooftop.plots.charts import interval_chart

PLOTTED = ("pixel.iou", "pixel.f1", "boundary.iou", "boundary.f1_2px", "object.f1", "object.ap", "object.ap50")


@dataclass(frozen=True)
class Difference:
    """How much a system scores above the first one, with interval, and in what share of the draws it does."""

    value: float
    interval: Interval
    higher: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval[0] > 0 or self.interval[1] < 0


Differences = dict[str, dict[str, Difference]]  # section -> name


def write_comparison(folder: Path, systems: Mapping[str, Evaluated]) -> None:
    """Write `comparison.json`, `.csv` and `.html`, and print the table.

    Args:
        folder: where to write.
        systems: by name, at least two; the others are compared with the first one.

    Raises:
        DataError: they were not scored on the same pictures.
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


def differ(system: Evaluated, first: Evaluated) -> Differences:
    """Compare all scores that both have, draw by draw."""
    found: Differences = {}
    for section, scores in system.scores.items():
        for name, value in scores.items():
            if name in first.scores[section]:
                interval, higher = compare(system.draws[section][name], first.draws[section][name])
                gap = value - first.scores[section][name]
                found.setdefault(section, {})[name] = Difference(gap, interval, higher)
    return found


def _check_alike(first: str, one: Evaluated, other: str, two: Evaluated) -> None:
    names = [[each.name for each in system.tally.pictures] for system in (one, two)]
    if names[0] != names[1]:
        raise DataError(f"{first} and {other} were scored on other pictures; compare them on one split.")


def _record(systems: Mapping[str, Evaluated], differences: Mapping[str, Differences]) -> dict[str, Any]:
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
    record: dict[str, Any] = plain({"systems": scored, "compared_with": first, "differences": compared})
    return record


def _rows(systems: Mapping[str, Evaluated], differences: Mapping[str, Differences]) -> list[dict[str, Any]]:
    """One row a score: its value for each system, and the difference with its interval for all but the first."""
    rows = []
    for section in SECTIONS:
        for name in next(iter(systems.values())).scores[section]:
            row: dict[str, Any] = {"score": f"{section}.{name}"}
            for system, done in systems.items():
                row[system] = done.scores[section].get(name)
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


def _write_report(path: Path, systems: Mapping[str, Evaluated], differences: Mapping[str, Differences]) -> None:
    first, *others = systems
    letters = [chr(ord("A") + i) for i in range(len(systems))]
    named = {f"{letter}: {name}": done for letter, (name, done) in zip(letters, systems.items(), strict=True)}
    plotted = {name: [_triple(done, *key.split(".")) for key in PLOTTED] for name, done in named.items()}
    blocks = ""
    for section, title in SECTIONS.items():
        rows = []
        for name in systems[first].scores[section]:
            cells = [f"{WORDS[f'{section}.{name}'][0]}<small>{WORDS[f'{section}.{name}'][1]}</small>"]
            cells += [number(done.scores[section].get(name)) for done in systems.values()]
            cells += [_difference(differences[other].get(section, {}).get(name)) for other in others]
            rows.append(cells)
        head = ["score", *letters, *(f"{letter} − {letters[0]}" for letter in letters[1:])]
        blocks += f"<h3>{title}</h3>{table(head, rows)}"
    chart = interval_chart([WORDS[key][0] for key in PLOTTED], plotted)
    write_page(
        path,
        "Rooftops: comparison",
        f'<h1>Which one finds roofs better?</h1><p class="soft">{len(systems[first].tally):,} pictures · '
        f'{escape(" · ".join(named))}</p><figure class="plot">{chart}<figcaption>Scores and where they lie in 95 of '
        "100 draws of the pictures.</figcaption></figure><p>Differences are taken on the same draws of pictures, so "
        "that hard pictures count alike for all. A difference in bold is more than chance: its interval leaves out "
        f"zero.</p>{blocks}",
    )


def _triple(done: Evaluated, section: str, name: str) -> tuple[float, float, float]:
    return (done.scores[section][name], *intervals(done.draws)[section][name])


def _difference(found: Difference | None) -> str:
    if found is None:
        return "–"
    text = f"{found.value:+.3f}"
    return f"{f'<b>{text}</b>' if found.certain else text}<small>{span(found.interval)}</small>"


def _print(systems: Mapping[str, Evaluated], differences: Mapping[str, Differences]) -> None:
    listed = Table(title="* more than chance: the interval of the difference leaves out zero")
    listed.add_column("score")
    for name in systems:
        listed.add_column(name, justify="right")
    for key in TOLD:
        section, name = key.split(".")
        cells = []
        for system, done in systems.items():
            found = differences.get(system, {}).get(section, {}).get(name)
            cells.append(f"{done.scores[section][name]:.4f}{'*' if found and found.certain else ' '}")
        listed.add_row(WORDS[key][0], *cells)
    Console().print(listed)
