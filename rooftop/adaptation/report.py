"""`report.html` of an adaptation: scores before and after, and every checked square."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from rooftop.adaptation.corrections import Corrections
from rooftop.adaptation.cross_validation import Adapted
from rooftop.adaptation.scores import JUDGED, SquareCases, difference
from rooftop.evaluation.cases import Case
from rooftop.evaluation.examples import LONGEST, jpeg
from rooftop.evaluation.report import ERROR_COLOURS, score_row
from rooftop.html import interval, number, write_page
from rooftop.metrics.bootstrap import FEWEST_PICTURES
from rooftop.plots.panels import error_map, shrink
from rooftop.raster.bands import as_rgb

ROWS = (*JUDGED, "pixel.precision", "pixel.recall", "object.precision", "object.recall", "object.ap50")
Array = NDArray[np.uint8]


def write_report(path: Path, result: Adapted, *, found: Mapping[str, str], start: str) -> None:
    """Write the page.

    Args:
        path: of the page.
        result: of the adaptation.
        found: `facts` of the corrections, for the head of the page.
        start: run folder of the start, as typed.
    """
    write_page(
        path,
        "adaptation.html",
        facts={"start": start, "squares in all": len(result.squares), **found},
        verdict=verdict(result, start),
        is_better=result.is_better,
        warnings=_warnings(result),
        rows=_rows(result),
        threshold={"before": result.before_threshold, "after": result.threshold},
        colours=ERROR_COLOURS,
        squares=_squares(result),
    )


def facts(corrections: Corrections) -> dict[str, str]:
    """What was read from the corrections, in words by name."""
    found = {"checked now": _counted(corrections.squares, "square"), "with": _counted(corrections.roofs, "roof")}
    if (changes := corrections.changes) is not None:
        found["corrected"] = f"{changes.added:,} added, {changes.removed:,} removed, {changes.reshaped:,} reshaped"
        found["as predicted"] = _counted(changes.kept, "roof")
    if corrections.repaired:
        found["outlines repaired"] = f"{corrections.repaired:,}"
    return found | {f"left out: {reason}": f"{number:,}" for reason, number in corrections.left_out.items()}


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def verdict(result: Adapted, start: str) -> str:
    """Say in a sentence whether the new weights are worth taking."""
    if result.is_better is None:
        return (
            f"Nothing can be proven with {len(result.squares)} square{'s' * (len(result.squares) != 1)}; check more "
            "squares, in different parts of the town."
        )
    if not result.is_better:
        return (
            f"The new weights are not better on squares that they did not see: keep run={start}, or check more squares."
        )
    return "The new weights are better on squares that they did not see."


def score_table(result: Adapted) -> Table:
    """Table of the main scores for the terminal."""
    table = Table(title=f"{len(result.squares)} squares")
    for column in ("score", "before", "after", "change", "95 % over squares"):
        table.add_column(column, justify="left" if column == "score" else "right")
    for row in _rows(result)[: len(JUDGED)]:
        change = row["change"]
        changed = ("", "") if change is None else (f"{change.value:+.3f}", interval(change.interval))
        table.add_row(row["label"], number(row["before"]), number(row["after"]), *changed)
    return table


def _warnings(result: Adapted) -> list[str]:
    if result.is_better is None or len(result.squares) >= FEWEST_PICTURES:
        return []
    return [f"Intervals over fewer than {FEWEST_PICTURES} squares are too narrow to judge by."]


def _rows(result: Adapted) -> list[dict[str, Any]]:
    rows = []
    for key in ROWS:
        section, name = key.split(".")
        row: dict[str, Any] = {"before": result.scored_before.sections[section][name], "after": None, "change": None}
        if result.scored_after is not None:
            row |= {"after": result.scored_after.sections[section][name]}
            row["change"] = difference(result.scored_before, result.scored_after, key)
        rows.append(score_row(key, **row))
    return rows


def _squares(result: Adapted) -> list[dict[str, Any]]:
    """Every square, those with the largest gain first."""
    before, after = result.scored_before.ious, None if result.scored_after is None else result.scored_after.ious
    order = np.argsort(before - after, kind="stable") if after is not None else np.arange(len(before))
    return [
        {
            "name": result.squares[i].file,
            "roofs": result.squares[i].roofs,
            "before": before[i],
            "after": None if after is None else after[i],
            "views": _views(result.before, result.after, int(i)),
        }
        for i in order
    ]


def _views(before: SquareCases, after: SquareCases | None, i: int) -> dict[str, str]:
    """Picture, and errors before and after, as JPEGs in base64."""
    picture = as_rgb(before.picture(i))
    views = {"picture": picture, "before": _errors(picture, before[i])}
    if after is not None:
        views["after"] = _errors(picture, after[i])
    return {name: jpeg(shrink(view, LONGEST)) for name, view in views.items()}


def _errors(picture: Array, case: Case) -> Array:
    return error_map(picture, case.mask[0], case.prediction[0], case.valid)
