"""Several systems on the same pictures: tables, a chart, and the differences with their intervals.

Two things make a score uncertain: which pictures were scored, and which seed the training had. The bootstrap
(`rooftop.metrics.bootstrap`) tells the first, runs of several seeds tell the second (`rooftop.metrics.seeds`). A
difference is judged over seeds where both sides have three or more; else only the choice of pictures is judged, and
the tables say so.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rooftop.errors import DataError
from rooftop.evaluation.evaluate import Evaluation, few_pictures, nan_to_null
from rooftop.evaluation.report import score_row
from rooftop.evaluation.runs import group_by_seed
from rooftop.evaluation.score import LABELS, SECTIONS, Draws, Sections, intervals
from rooftop.files import atomic_write, write_json
from rooftop.html import write_page
from rooftop.metrics.bootstrap import FEWEST_PICTURES, Interval, compare
from rooftop.metrics.seeds import FEWEST, Welch, mean_and_spread, welch
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
PRINTED = ("pixel.iou", "boundary.iou", "object.f1", "object.pq")  # on the screen: 80 columns
MOST_DRAWN = 12  # systems in the chart
SEEDS, PICTURES = "*", "°"  # marks of a difference


@dataclass(frozen=True)
class System:
    """Runs that differ only by their seed, or a single run or file.

    Attributes:
        name: unique in the comparison.
        runs: by name; all on the same pictures.
        scores: mean over the runs.
        spread: standard deviation over the runs; NaN for a single one.
        draws: mean over the runs of each bootstrap draw.
    """

    name: str
    runs: dict[str, Evaluation]
    scores: Sections
    spread: Sections
    draws: Draws

    @classmethod
    def of(cls, name: str, runs: Mapping[str, Evaluation]) -> System:
        """Average the scores of runs; scores of only some of them are left out."""
        first, *others = runs.values()
        scores: Sections = {}
        spread: Sections = {}
        draws: Draws = {}
        for section, found in first.scores.items():
            names = [key for key in found if all(key in other.scores[section] for other in others)]
            both = {key: mean_and_spread([each.scores[section][key] for each in runs.values()]) for key in names}
            scores[section] = {key: mean for key, (mean, _) in both.items()}
            spread[section] = {key: deviation for key, (_, deviation) in both.items()}
            drawn = [key for key in names if key in first.draws[section]]
            draws[section] = {
                key: np.mean([each.draws[section][key] for each in runs.values()], axis=0) for key in drawn
            }
        return cls(name, dict(runs), scores, spread, draws)

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return len(next(iter(self.runs.values())).counts)

    def over_seeds(self, section: str, name: str) -> list[float]:
        """Return a score of each run."""
        return [each.scores[section][name] for each in self.runs.values()]


@dataclass(frozen=True)
class Difference:
    """Difference of a score between a system and the first one.

    Attributes:
        value: score of the system minus score of the first one.
        interval: 95 % interval of the difference over pictures, from the same bootstrap draws.
        higher: share of the draws with a higher score than the first one; a tie counts half.
        seeds: the difference over seeds; None where it cannot be judged.
        pictures: number of pictures.
    """

    value: float
    interval: Interval
    higher: float
    seeds: Welch | None
    pictures: int

    @property
    def mark(self) -> str:
        """`*`: differs over seeds. `°`: differs over pictures, seeds are not judged. Empty: may be chance."""
        if self.seeds:
            return SEEDS if self.seeds.certain else ""
        excludes_zero = self.interval[0] > 0 or self.interval[1] < 0
        return PICTURES if excludes_zero and self.pictures >= FEWEST_PICTURES else ""


Differences = dict[str, dict[str, Difference]]  # section -> name


def systems_of(scored: Mapping[str, Evaluation]) -> list[System]:
    """Put runs that differ only by their seed together, and name each system by what tells it from the others.

    Args:
        scored: evaluations by a unique name; those of files stay single.
    """
    names = list(scored)
    folders = [str(folder) for name in names if (folder := scored[name].subject.get("run"))]
    if len(folders) < len(names):
        return [System.of(name, {name: scored[name]}) for name in names]
    groups = group_by_seed(folders, names)
    return [System.of(label, {names[i]: scored[names[i]] for i in members}) for label, members in groups]


def write_comparison(folder: Path, systems: Sequence[System]) -> None:
    """Write `comparison.json`, `.csv`, `.html`, `.md` and `.tex`, and print the table.

    Args:
        folder: where to write.
        systems: each is compared with the first one; a single one needs several runs.

    Raises:
        DataError: the systems were scored on different pictures.
    """
    first, *others = systems
    _check_alike(systems)
    differences = {other.name: differ(other, first) for other in others}
    write_json(folder / "comparison.json", _record(systems, differences))
    rows = _rows(systems, differences)
    with atomic_write(folder / "comparison.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, list(rows[0])).writeheader()
        csv.DictWriter(file, list(rows[0])).writerows(rows)
    for name, text in (("comparison.md", _markdown), ("comparison.tex", _latex)):
        with atomic_write(folder / name) as part:
            part.write_text(text(systems, differences), encoding="utf-8")
    _write_report(folder / "comparison.html", systems, differences)
    _print(systems, differences)
    print(f"written: {folder}\nlook at: {folder / 'comparison.html'}")


def differ(system: System, first: System) -> Differences:
    """Compare the scores of two systems, draw by draw and over seeds; scores of only one of them are left out."""
    found: Differences = {}
    for section, scores in system.scores.items():
        for name, value in scores.items():
            if name in first.scores[section]:
                interval, higher = compare(system.draws[section][name], first.draws[section][name])
                gap = value - first.scores[section][name]
                seeds = welch(system.over_seeds(section, name), first.over_seeds(section, name))
                found.setdefault(section, {})[name] = Difference(gap, interval, higher, seeds, system.pictures)
    return found


def _check_alike(systems: Sequence[System]) -> None:
    runs = {name: run for system in systems for name, run in system.runs.items()}
    (first, one), *others = runs.items()
    for other, two in others:
        names = [[each.name for each in run.counts.pictures] for run in (one, two)]
        if names[0] != names[1]:
            raise DataError(f"{first} and {other} were scored on different pictures; compare them on one split.")


# --- what the comparison can tell, in words ---


def notes(systems: Sequence[System], differences: Mapping[str, Differences]) -> list[str]:
    """Say what numbers and marks mean here, and what they cannot tell; one sentence each."""
    first, *others = systems
    lines = []
    if any(len(system.runs) > 1 for system in systems):
        lines.append("Scores are means over runs that differ only by their seed, ± their standard deviation.")
    judged = [
        name for name, found in differences.items() if any(d.seeds for each in found.values() for d in each.values())
    ]
    if judged:
        lines.append(
            f"{SEEDS} differs from {first.name} over seeds, on these pictures (Welch's t-test, p < 0.05, each score "
            "for itself: of 20 equal scores about one gets a mark)."
        )
    if others and len(judged) < len(others):
        lines.append(
            f"{PICTURES} differs from {first.name} over pictures: the 95 % interval of the difference (bootstrap over "
            f"pictures) excludes zero. Fewer than {FEWEST} seeds on a side: whether it is more than the chance of a "
            "seed cannot be judged."
        )
    return [*lines, *few_pictures(first.pictures)]


def _labelled(system: System) -> str:
    """Return the name of a system with its number of seeds."""
    return f"{system.name} ({len(system.runs)} seeds)" if len(system.runs) > 1 else system.name


def _cell(system: System, differences: Mapping[str, Differences], key: str, *, plus: str = " ± ") -> str:
    """Return a score as text: "0.6712", or "0.671 ± 0.004" over seeds, and the mark of its difference."""
    section, name = key.split(".")
    value, spread = system.scores[section].get(name, math.nan), system.spread[section].get(name, math.nan)
    if math.isnan(value):
        return "–"
    text = f"{value:.4f}" if math.isnan(spread) else f"{value:.3f}{plus}{spread:.3f}"
    found = differences.get(system.name, {}).get(section, {}).get(name)
    return text + (found.mark if found else "")


# --- files ---


def _record(systems: Sequence[System], differences: Mapping[str, Differences]) -> dict[str, Any]:
    compared = {
        name: {section: {key: _plain(d) for key, d in found.items()} for section, found in each.items()}
        for name, each in differences.items()
    }
    scored = {
        system.name: {
            **system.scores,
            "intervals": intervals(system.draws),
            "spread": system.spread,
            "runs": {name: {**run.scores, **run.subject} for name, run in system.runs.items()},
        }
        for system in systems
    }
    notes_here = notes(systems, differences)
    record: dict[str, Any] = nan_to_null(
        {"systems": scored, "compared_with": systems[0].name, "differences": compared, "notes": notes_here}
    )
    return record


def _plain(d: Difference) -> dict[str, Any]:
    seeds = {"interval": d.seeds.interval, "p": d.seeds.p} if d.seeds else None
    return {"value": d.value, "interval": d.interval, "higher": d.higher, "seeds": seeds}


def _rows(systems: Sequence[System], differences: Mapping[str, Differences]) -> list[dict[str, Any]]:
    """One row for each score: its value and spread for each system, and the difference for all but the first."""
    rows = []
    for section in SECTIONS:
        for name in systems[0].scores[section]:
            row: dict[str, Any] = {"score": f"{section}.{name}"}
            for system in systems:
                row[system.name] = system.scores[section].get(name)
                if len(system.runs) > 1:
                    row[f"{system.name} spread"] = system.spread[section].get(name)
                if system.name in differences:
                    d = differences[system.name].get(section, {}).get(name)
                    low, high = d.interval if d else (None, None)
                    row |= {
                        f"{system.name} difference": d.value if d else None,
                        f"{system.name} low": low,
                        f"{system.name} high": high,
                        f"{system.name} p over seeds": d.seeds.p if d and d.seeds else None,
                    }
            rows.append(row)
    return rows


def _markdown(systems: Sequence[System], differences: Mapping[str, Differences]) -> str:
    """Return a table of Markdown, a row for each system, and the notes."""
    head = ["", "seeds", *(LABELS[key][0] for key in PLOTTED)]
    rows = [
        [system.name.replace("|", "\\|"), str(len(system.runs)), *(_cell(system, differences, key) for key in PLOTTED)]
        for system in systems
    ]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = [f"{systems[0].pictures:,} pictures.", *notes(systems, differences)]
    return "\n\n".join([table, *(line.replace("*", "\\*") for line in below)]) + "\n"


_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _tex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _latex(systems: Sequence[System], differences: Mapping[str, Differences]) -> str:
    """Return a table of LaTeX in the rules of booktabs; the notes are comments."""
    marks = {SEEDS: "$^{*}$", PICTURES: r"$^{\circ}$", "–": "--"}

    def cell(system: System, key: str) -> str:
        text = _cell(system, differences, key, plus=r" $\pm$ ")
        return text[:-1] + marks[text[-1]] if text[-1] in marks else text

    lines = [
        r"% \usepackage{booktabs}",
        *(f"% {line}" for line in (f"{systems[0].pictures:,} pictures.", *notes(systems, differences))),
        rf"\begin{{tabular}}{{lr{'r' * len(PLOTTED)}}}",
        r"\toprule",
        " & ".join(["", "seeds", *(_tex(LABELS[key][0]) for key in PLOTTED)]) + r" \\",
        r"\midrule",
        *(
            " & ".join([_tex(system.name), str(len(system.runs)), *(cell(system, key) for key in PLOTTED)]) + r" \\"
            for system in systems
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


# --- page and screen ---


def _letters(count: int) -> list[str]:
    """Return A, B, ..., Z, A1, B1, ..."""
    return [chr(ord("A") + i % 26) + (str(i // 26) if i >= 26 else "") for i in range(count)]


def _write_report(path: Path, systems: Sequence[System], differences: Mapping[str, Differences]) -> None:
    first, *others = systems
    letters = _letters(len(systems))
    drawn = list(zip(letters, systems, strict=True))[:MOST_DRAWN]
    plotted = {
        f"{letter}: {_labelled(system)}": [_triple(system, *key.split(".")) for key in PLOTTED]
        for letter, system in drawn
    }
    sections = [
        {
            "id": section,
            "title": title,
            "rows": [
                score_row(
                    f"{section}.{name}",
                    scores=[system.scores[section].get(name) for system in systems],
                    spreads=[system.spread[section].get(name, math.nan) for system in systems],
                    differences=[differences[other.name].get(section, {}).get(name) for other in others],
                )
                for name in first.scores[section]
            ],
        }
        for section, title in SECTIONS.items()
    ]
    labels = dict(zip(letters, map(_labelled, systems), strict=True))
    write_page(
        path,
        "comparison.html",
        subject={"pictures": f"{first.pictures:,}", **labels},
        letters=letters,
        left_out=len(systems) - len(drawn),
        notes=notes(systems, differences),
        chart=interval_chart([LABELS[key][0] for key in PLOTTED], plotted),
        sections=sections,
    )


def _triple(system: System, section: str, name: str) -> tuple[float, float, float]:
    return (system.scores[section][name], *intervals(system.draws)[section][name])


def _print(systems: Sequence[System], differences: Mapping[str, Differences]) -> None:
    listed = Table(title=f"{systems[0].pictures:,} pictures")
    listed.add_column("", overflow="fold")
    for key in PRINTED:
        listed.add_column(LABELS[key][0], justify="right")
    for system in systems:
        listed.add_row(Text(_labelled(system)), *(_cell(system, differences, key, plus="±") for key in PRINTED))
    Console().print(listed)
    for line in notes(systems, differences):
        print(line)
