"""`report.json` and `report.html` of an audit: numbers, findings, the worst of each kind, histograms."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.audit.audit import Split
from rooftop.audit.findings import KINDS, LISTED, Finding
from rooftop.audit.shift import moved
from rooftop.coco import CocoObject, picture_path
from rooftop.errors import DataError
from rooftop.html import DASH, write_page
from rooftop.raster.bands import as_rgb
from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import rasterise, run_box

SHOWN = 6  # findings of each kind and split shown as pictures
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_SIDE = 360  # pixels, longer side of a picture on the page: twice the usual width on the screen, sharp on phones
_MARGIN = 24.0  # pixels, smallest surroundings of an object on the page
_PLOT_WIDTH, _PLOT_HEIGHT = 300, 110  # units of the SVG
_BINS = 24


def summary(splits: Sequence[Split]) -> dict[str, Any]:
    """Return the content of `report.json`: the number of errors, then numbers and findings of each split."""
    return {
        "errors": sum(split.findings.errors() for split in splits),
        "splits": {split.name: _split_summary(split) for split in splits},
    }


def _split_summary(split: Split) -> dict[str, Any]:
    mean, std = split.facts.brightness() if split.facts else ([], [])
    numbers = split.statistics
    names = {kind.id: kind.name for kind in split.index.categories} if split.index is not None else {}
    return {
        "pictures": len(split.names),
        "objects": sum(numbers.counts),
        "empty_share": float(np.mean([count == 0 for count in numbers.counts])) if numbers.counts else None,
        "covered_share": float(np.mean(numbers.shares)) if numbers.shares else None,
        "area_percentiles": _percentiles(numbers.areas),
        "objects_by_category": {names[kind]: count for kind, count in sorted(numbers.kinds.items())},
        "mean": mean,
        "std": std,
        "shifts": _shifts(split),
        "findings": split.findings.plain(),
    }


def _shifts(split: Split) -> dict[str, Any] | None:
    """How many pictures were compared with their labels, and by how many pixels those of which pictures are shifted."""
    if split.shifts is None:
        return None
    found = [
        {
            "level": shift.level,
            "place": shift.place if shift.level == "place" else None,
            "move": split.shifts.moves[shift.rows[0]].tolist(),
            "count": len(shift.rows),
            "pictures": [split.names[row] for row in shift.rows[:LISTED]],
        }
        for shift in split.shifts.named()
    ]
    return {"compared": split.shifts.compared, "of": split.shifts.labelled, "found": found}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    found = np.percentile(values, PERCENTILES).tolist()
    return {str(share): round(value, 1) for share, value in zip(PERCENTILES, found, strict=True)}


def write_report(path: Path, name: str, splits: Sequence[Split]) -> None:
    """Write `report.html`.

    Args:
        path: of the file.
        name: of the data set.
        splits: after the audit.
    """
    errors = sum(split.findings.errors() for split in splits)
    notes = sum(split.findings.count(kind) for split in splits for kind in KINDS) - errors
    write_page(
        path,
        "audit.html",
        name=name,
        errors=errors,
        notes=notes,
        overview=[_overview(split) for split in splits],
        findings=list(_findings(splits)),
        worst=_worst(splits),
        distributions=[_distributions(split, splits) for split in splits if split.statistics.counts],
    )


def _overview(split: Split) -> dict[str, Any]:
    """Row of a split: size, and the brightness to copy into the configuration."""
    numbers = split.statistics
    mean, std = split.facts.brightness() if split.facts else ([], [])
    cells = [f"{len(split.names):,}"]
    if numbers.counts:
        counts = np.array(numbers.counts)
        cells += [f"{counts.sum():,}", f"{counts.mean():.1f}", f"{(counts == 0).mean():.1%}"]
        cells += [f"{np.mean(numbers.shares):.1%}"]
    else:
        cells += [DASH] * 4
    return {"name": split.name, "cells": cells, "mean": str(mean), "std": str(std)}


def _findings(splits: Sequence[Split]) -> Iterator[dict[str, Any]]:
    """Rows of the kinds found: how many in each split, and the remedy."""
    for name, kind in KINDS.items():
        counts = [split.findings.count(name) for split in splits]
        if any(counts):
            yield {"name": name, "is_error": kind.is_error, "counts": counts, "remedy": kind.remedy}


def _worst(splits: Sequence[Split]) -> dict[str, list[dict[str, Any]]]:
    """By kind, the worst findings of each split with pictures."""
    by_name = {split.name: split for split in splits}
    shown = {
        kind: [_shown(split, finding, by_name) for split in splits for finding in split.findings.worst(kind, SHOWN)]
        for kind in KINDS
    }
    return {kind: found for kind, found in shown.items() if found}


def _shown(split: Split, finding: Finding, by_name: dict[str, Split]) -> dict[str, Any]:
    """One finding: its picture or pair of pictures, and what is wrong."""
    views = [_thumbnail(split, finding)]
    where = [f"{split.name}/{finding.picture}" if finding.picture else split.name]
    if finding.annotation is not None:
        where.append(f"annotation {finding.annotation}")
    if finding.move:
        views.append(_thumbnail(split, finding, finding.move))
    if finding.partner:
        other, name = finding.partner
        views.append(_thumbnail(by_name[other], Finding(finding.kind, name)))
        where.append(f"and {other}/{name}")
    return {"views": [view for view in views if view], "where": ", ".join(where), "detail": finding.detail}


@dataclass(frozen=True)
class Outline:
    """A ring over a thumbnail. style: "chosen" or "other". points: "x,y x,y ..." in pixels of the picture."""

    style: str
    points: str


@dataclass(frozen=True)
class Thumbnail:
    """A part of a picture with outlines over it.

    Attributes:
        left: of the part, in pixels of the picture; likewise top, width and height.
        jpeg: of the part, in base64.
        outlines: in drawing order.
    """

    left: int
    top: int
    width: int
    height: int
    jpeg: str
    outlines: list[Outline]


def _thumbnail(split: Split, finding: Finding, move: tuple[float, float] | None = None) -> Thumbnail | None:
    """Picture of a finding; None without a picture.

    Of an annotation its surroundings are shown, with the annotation in red; of a shift the surroundings of the roof
    nearest to the middle, with the outlines in red where `move` brings them.
    """
    row = split.rows.get(finding.picture)
    objects = split.index.objects(row) if split.index is not None and row is not None else []
    try:
        picture = split.reading.picture(picture_path(split.images, finding.picture))
    except DataError:
        return None
    image = Image.fromarray(as_rgb(picture))
    chosen = [thing for thing in objects if thing.annotation_id == finding.annotation]
    shown = chosen or ([_central(objects, *image.size)] if finding.move and objects else [])
    left, top, right, bottom = _window(shown[0], *image.size) if shown else (0, 0, *image.size)
    if move:
        chosen = objects = [moved(thing, move, image.height, image.width) for thing in objects]
    outlines = [outline for thing in objects if thing not in chosen for outline in _outlines(thing, image, "other")]
    outlines += [outline for thing in chosen for outline in _outlines(thing, image, "chosen")]
    part = image.crop((left, top, right, bottom))
    part.thumbnail((_SIDE, _SIDE))
    return Thumbnail(left, top, right - left, bottom - top, _jpeg(part), outlines)


def _window(thing: CocoObject, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the surroundings of an object, inside the picture."""
    x, y, w, h = _box(thing)
    side = max(w, h, _MARGIN)
    left, top = max(0, int(x + w / 2 - side)), max(0, int(y + h / 2 - side))
    right, bottom = min(width, math.ceil(x + w / 2 + side)), min(height, math.ceil(y + h / 2 + side))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _central(objects: Sequence[CocoObject], width: int, height: int) -> CocoObject:
    """Return the object nearest to the middle of the picture."""

    def distance(thing: CocoObject) -> float:
        x, y, w, h = _box(thing)
        return math.hypot(x + w / 2 - width / 2, y + h / 2 - height / 2)

    return min(objects, key=distance)


def _box(thing: CocoObject) -> list[float]:
    """x, y, width, height."""
    return run_box(thing.rle).tolist() if thing.rle else _bounds(np.concatenate(thing.rings or []))


def _bounds(points: NDArray[np.float64]) -> list[float]:
    """x, y, width, height."""
    low = points.min(axis=0)
    return [*low, *(points.max(axis=0) - low)]


def _outlines(thing: CocoObject, image: Image.Image, style: str) -> Iterator[Outline]:
    rings = thing.rings
    if rings is None:
        shapes = polygonise(rasterise([thing], image.height, image.width))
        rings = [np.asarray(ring.coords) for shape in shapes for ring in (shape.exterior, *shape.interiors)]
    for ring in rings:
        yield Outline(style, " ".join(f"{x:.1f},{y:.1f}" for x, y in ring))


def _jpeg(image: Image.Image) -> str:
    content = io.BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=80)
    return base64.b64encode(content.getvalue()).decode()


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram. x, width, height: in units of the SVG. low, high: edges, as text. count: values inside."""

    x: float
    width: float
    height: float
    low: str
    high: str
    count: int


@dataclass(frozen=True)
class Histogram:
    """Bars from left to right. width, height: of the plot. labels: (text, x, anchor) below the axis."""

    title: str
    width: int
    height: int
    bars: list[Bar]
    labels: list[tuple[str, int, str]]


def histogram(title: str, values: Sequence[float], edges: NDArray[np.float64], *, percent: bool = False) -> Histogram:
    """Count the values between the edges, the last edge included.

    Args:
        title: of the plot.
        values: any numbers; those outside the edges count in the outermost bars.
        edges: ascending.
        percent: write the edges as percentages.
    """
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
    top, step = max(*counts, 1), _PLOT_WIDTH / len(counts)
    texts = [_edge_text(edge, percent) for edge in edges]
    bars = [
        Bar(i * step, step - 1, _PLOT_HEIGHT * count / top, texts[i], texts[i + 1], count)
        for i, count in enumerate(counts)
    ]
    labels = [
        (texts[0], 0, "start"),
        (texts[len(edges) // 2], _PLOT_WIDTH // 2, "middle"),
        (texts[-1], _PLOT_WIDTH, "end"),
    ]
    return Histogram(title, _PLOT_WIDTH, _PLOT_HEIGHT, bars, labels)


def logarithmic(values: Sequence[float], bins: int = _BINS) -> NDArray[np.float64]:
    """Return edges of bins over the positive values; each edge is the one before times a constant factor."""
    positive = [value for value in values if value > 0]
    if not positive:
        return np.array([1.0, 10.0])
    return np.geomspace(min(positive), max(max(positive), min(positive) * 1.01), bins + 1)


def _edge_text(edge: float, percent: bool) -> str:
    """Format an edge with at most three digits."""
    return f"{edge:.0%}" if percent else f"{float(f'{edge:.3g}'):,g}"


def _distributions(split: Split, splits: Sequence[Split]) -> dict[str, Any]:
    """Histograms of a split; all splits share the edges, so they can be compared."""
    every = [part.statistics for part in splits]
    areas = logarithmic([area for part in every for area in part.areas])
    counts = np.linspace(0, max(max(part.counts, default=0) for part in every) + 1, _BINS + 1)
    shares = np.linspace(0, 1, _BINS + 1)
    plots = [
        histogram("size of an object, square pixels, logarithmic", split.statistics.areas, areas),
        histogram("objects in a picture", split.statistics.counts, counts),
        histogram("share of a picture covered by objects", split.statistics.shares, shares, percent=True),
    ]
    return {"name": split.name, "categories": _categories(split), "plots": plots}


def _categories(split: Split) -> str:
    """How many objects of each category; empty if there is only one category."""
    assert split.index is not None
    total = sum(split.statistics.kinds.values())
    if len(split.index.categories) < 2 or not total:
        return ""
    counts = [(kind.name, split.statistics.kinds.get(kind.id, 0)) for kind in split.index.categories]
    return ", ".join(f"{name} {count:,} ({count / total:.1%})" for name, count in counts)
