"""The report as one HTML file that needs nothing else: what was found, the worst of each kind, histograms."""

import base64
import io
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from rooftop.audit.audit import Split
from rooftop.audit.findings import KINDS, Finding
from rooftop.coco import CocoObject, picture_path
from rooftop.errors import DataError
from rooftop.files import whole
from rooftop.raster.bands import as_rgb
from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import rasterise

SHOWN = 6  # pictures of each kind and split
_STYLE = """
:root { color-scheme: light; --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --bad: #b42318; --good: #1a7f37; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.6rem 0 .2rem; font-size: 1.05rem; } p { margin: .3rem 0; } .soft, figcaption { color: var(--soft); }
.verdict { font-size: 1.1rem; margin: .4rem 0 1.4rem; } .bad { color: var(--bad); } .good { color: var(--good); }
table { border-collapse: collapse; margin: .6rem 0; } th { color: var(--soft); font-weight: 600; text-align: left; }
td, th { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; } code { font-size: .9em; }
.row { display: flex; flex-wrap: wrap; gap: 1.1rem; align-items: flex-start; } figure { margin: 0; min-width: 180px; }

figcaption { font-size: .8rem; overflow-wrap: anywhere; width: min-content; min-width: 100%; }
.pair { display: flex; gap: 4px; align-items: flex-end; }
.kinds { display: flex; flex-wrap: wrap; column-gap: 2.6rem; align-items: flex-start; }
svg { display: block; } svg polygon { fill: none; vector-effect: non-scaling-stroke; }
polygon.other { stroke: #ffd33d; stroke-width: 1; } polygon.chosen { stroke: #ff2d20; stroke-width: 2.5; }
.histogram rect { fill: #4878a8; } .histogram line { stroke: var(--line); }
.histogram text { font-size: 11px; fill: var(--soft); }
"""


def write_page(path: Path, title: str, splits: Sequence[Split]) -> None:
    """Write the report of an audit, whole or not at all."""
    by_name = {split.name: split for split in splits}
    body = [_head(title, splits), _overview(splits), _table(splits)]
    worst = "".join(_kind(kind, splits, by_name) for kind in KINDS)
    if worst:
        body.append(f'<h2>The worst of each kind</h2><div class="kinds">{worst}</div>')
    body += ["<h2>Distributions</h2>", *(_distributions(split, splits) for split in splits if split.statistics.counts)]
    text = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
    with whole(path) as part:
        part.write_text(text + "\n".join(body) + "</html>\n", encoding="utf-8")


def _head(title: str, splits: Sequence[Split]) -> str:
    errors = sum(split.findings.errors() for split in splits)
    notes = sum(split.findings.count(kind) for split in splits for kind in KINDS) - errors
    verdict = f'<span class="bad">{errors:,} errors</span>' if errors else '<span class="good">no errors</span>'
    return f'<h1>Audit of {escape(title)}</h1><p class="verdict">{verdict}, {notes:,} notes</p>'


def _overview(splits: Sequence[Split]) -> str:
    """One line a split: how much there is, and the brightness to copy into the configuration."""
    names = ("split", "pictures", "objects", "a picture", "empty", "covered", "mean", "std")
    lines = "".join(_overview_line(split) for split in splits)
    return (
        f"<table><tr>{''.join(f'<th>{name}' for name in names)}</tr>{lines}</table>"
        '<p class="soft">mean and std of each channel, pixels in [0, 1], as <code>data.mean</code> and '
        "<code>data.std</code> want them</p>"
    )


def _overview_line(split: Split) -> str:
    numbers = split.statistics
    mean, std = split.facts.brightness() if split.facts else ([], [])
    cells = [f"{len(split.names):,}"]
    if numbers.counts:
        counts = np.array(numbers.counts)
        cells += [f"{counts.sum():,}", f"{counts.mean():.1f}", f"{(counts == 0).mean():.1%}"]
        cells += [f"{np.mean(numbers.shares):.1%}"]
    else:
        cells += ["–"] * 4
    values = "".join(f'<td class="number">{cell}' for cell in cells)
    return f"<tr><td>{escape(split.name)}{values}<td><code>{mean}</code><td><code>{std}</code></tr>"


def _table(splits: Sequence[Split]) -> str:
    """How many of each kind in each split, and what to do."""
    head = "".join(f'<th class="number">{escape(split.name)}' for split in splits)
    lines = ""
    for kind, meaning in KINDS.items():
        counts = [split.findings.count(kind) for split in splits]
        if any(counts):
            cells = "".join(f'<td class="number">{count:,}' for count in counts)
            grade = '<span class="bad">error</span>' if meaning.is_error else '<span class="soft">note</span>'
            lines += f"<tr><td>{kind}<td>{grade}{cells}<td>{_code(meaning.remedy)}</tr>"
    if not lines:
        return '<h2>Findings</h2><p class="good">Nothing was found.</p>'
    return f"<h2>Findings</h2><table><tr><th>kind<th>{head}<th>what to do</tr>{lines}</table>"


def _code(text: str) -> str:
    """Words between backticks as code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def _kind(kind: str, splits: Sequence[Split], by_name: dict[str, Split]) -> str:
    """The worst of a kind in every split, as pictures."""
    figures = [_figure(split, finding, by_name) for split in splits for finding in split.findings.worst(kind, SHOWN)]
    if not figures:
        return ""
    return f"<section><h3>{kind}</h3><div class=row>{''.join(figures)}</div></section>"


def _figure(split: Split, finding: Finding, by_name: dict[str, Split]) -> str:
    """One finding: its picture or pair of pictures, and what is wrong."""
    pictures = thumbnail(split, finding)
    words = [f"{split.name}/{finding.picture}" if finding.picture else split.name]
    if finding.annotation is not None:
        words.append(f"annotation {finding.annotation}")
    if finding.partner:
        other, name = finding.partner
        pictures += thumbnail(by_name[other], Finding(finding.kind, name))
        words.append(f"and {other}/{name}")
    caption = ", ".join([*words, finding.detail] if finding.detail else words)
    return f'<figure><div class="pair">{pictures}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _distributions(split: Split, splits: Sequence[Split]) -> str:
    """Histograms of a split; the edges are those of all splits, so that they can be compared."""
    every = [part.statistics for part in splits]
    areas = logarithmic([area for part in every for area in part.areas])
    counts = np.linspace(0, max(max(part.counts, default=0) for part in every) + 1, 25)
    plots = {
        "size of an object, square pixels, logarithmic": histogram(split.statistics.areas, areas),
        "objects in a picture": histogram(split.statistics.counts, counts),
        "share of a picture that is covered": histogram(split.statistics.shares, np.linspace(0, 1, 25), percent=True),
    }
    figures = "".join(f"<figure>{plot}<figcaption>{title}</figcaption></figure>" for title, plot in plots.items())
    return f"<h3>{escape(split.name)}</h3>{_classes(split)}<div class=row>{figures}</div>"


def _classes(split: Split) -> str:
    """How many objects of each category, if there are several."""
    assert split.index is not None
    total = sum(split.statistics.kinds.values())
    if len(split.index.categories) < 2 or not total:
        return ""
    parts = [
        f"{escape(kind.name)} {split.statistics.kinds.get(kind.id, 0):,} "
        f"({split.statistics.kinds.get(kind.id, 0) / total:.1%})"
        for kind in split.index.categories
    ]
    return f"<p>{', '.join(parts)}</p>"


def report(splits: Sequence[Split]) -> dict[str, Any]:
    """Errors in all, and for each split its numbers and findings."""
    return {
        "errors": sum(split.findings.errors() for split in splits),
        "splits": {split.name: _split(split) for split in splits},
    }


def _split(split: Split) -> dict[str, Any]:
    """Numbers and findings of a split."""
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
        "findings": split.findings.plain(),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    """The usual ones, in square pixels."""
    if not values:
        return {}
    wanted = (1, 5, 25, 50, 75, 95, 99)
    return {
        str(share): round(float(value), 1) for share, value in zip(wanted, np.percentile(values, wanted), strict=True)
    }


_WIDTH, _HEIGHT, _FOOT = 300, 110, 18  # pixels


def logarithmic(values: Sequence[float], bins: int = 24) -> NDArray[np.float64]:
    """Edges of bins that grow by a constant factor, over the positive values."""
    positive = [value for value in values if value > 0]
    if not positive:
        return np.array([1.0, 10.0])
    return np.geomspace(min(positive), max(max(positive), min(positive) * 1.01), bins + 1)


def histogram(values: Sequence[float], edges: NDArray[np.float64], *, percent: bool = False) -> str:
    """Bars of how many values fall between the edges, the last edge included.

    Args:
        values: any numbers; those outside the edges go into the outermost bars.
        edges: ascending.
        percent: write the edges as percentages.
    """
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    top = max(int(counts.max()), 1)
    step = _WIDTH / len(counts)
    bars = "".join(
        f'<rect x="{i * step:.2f}" y="{_HEIGHT * (1 - count / top):.2f}" width="{step - 1:.2f}" '
        f'height="{_HEIGHT * count / top:.2f}"><title>{_text(edges[i], percent)} to {_text(edges[i + 1], percent)}: '
        f"{count:,}</title></rect>"
        for i, count in enumerate(counts.tolist())
    )
    labels = "".join(
        f'<text x="{place * _WIDTH:.0f}" y="{_HEIGHT + _FOOT - 4}" text-anchor="{anchor}">{_text(edge, percent)}</text>'
        for place, anchor, edge in (
            (0, "start", edges[0]),
            (0.5, "middle", edges[len(edges) // 2]),
            (1, "end", edges[-1]),
        )
    )
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" width="{_WIDTH}" height="{_HEIGHT + _FOOT}"'
    line = f'<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
    return f'<svg class="histogram" {box} role="img">{bars}{line}{labels}</svg>'


def _text(number: float, percent: bool) -> str:
    """A number of at most three digits."""
    return f"{number:.0%}" if percent else f"{float(f'{number:.3g}'):,g}"


_SIDE = 180  # pixels of the longer side
_AROUND = 24.0  # pixels of surroundings at least that are shown of an object
Box = tuple[int, int, int, int]


def thumbnail(split: Split, finding: Finding) -> str:
    """The picture of a finding as SVG text; of an annotation its surroundings, with the annotation in red.

    Nothing, where there is no picture that could be shown.
    """
    row = split.rows.get(finding.picture)
    objects = split.index.objects(row) if split.index is not None and row is not None else []
    try:
        picture = split.reading.picture(picture_path(split.images, finding.picture))
    except DataError:
        return ""
    image = Image.fromarray(as_rgb(picture))
    chosen = [thing for thing in objects if thing.annotation_id == finding.annotation]
    window = _window(chosen[0], *image.size) if chosen else (0, 0, *image.size)
    others = [_outline(thing, image, "other") for thing in objects if thing not in chosen]
    return _picture(image, window, "".join(others + [_outline(thing, image, "chosen") for thing in chosen]))


def _window(thing: CocoObject, width: int, height: int) -> Box:
    """Left, top, right, bottom of the surroundings of an object, inside the picture."""
    x, y, w, h = coco.toBbox(thing.rle) if thing.rle else _bounds(np.concatenate(thing.rings or []))
    side = max(w, h, _AROUND)
    left, top = max(0, int(x + w / 2 - side)), max(0, int(y + h / 2 - side))
    right, bottom = min(width, math.ceil(x + w / 2 + side)), min(height, math.ceil(y + h / 2 + side))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _bounds(points: NDArray[np.float64]) -> list[float]:
    """x, y, width, height."""
    low = points.min(axis=0)
    return [*low, *(points.max(axis=0) - low)]


def _picture(image: Image.Image, window: Box, lines: str) -> str:
    """A part of a picture with outlines over it."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    scale = _SIDE / max(width, height)
    part = image.crop(window)
    part.thumbnail((2 * _SIDE, 2 * _SIDE))
    return (
        f'<svg viewBox="{left} {top} {width} {height}" width="{width * scale:.0f}" height="{height * scale:.0f}">'
        f'<image href="{_inline(part)}" x="{left}" y="{top}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"/>{lines}</svg>'
    )


def _outline(thing: CocoObject, image: Image.Image, name: str) -> str:
    """The rings of an object, drawn in the style of that name."""
    rings = thing.rings
    if rings is None:
        shapes = polygonise(rasterise([thing], image.height, image.width))
        rings = [np.asarray(ring.coords) for shape in shapes for ring in (shape.exterior, *shape.interiors)]
    return "".join(
        f'<polygon class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in ring)}"/>' for ring in rings
    )


def _inline(image: Image.Image) -> str:
    """A picture as text that stands in the page itself."""
    text = io.BytesIO()
    image.convert("RGB").save(text, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(text.getvalue()).decode()
