"""The report as one HTML file that needs nothing else: what was found, the worst of each kind, histograms."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from rooftop.audit.findings import KINDS, Finding
from rooftop.audit.histogram import histogram, logarithmic
from rooftop.audit.splits import Split
from rooftop.audit.thumbnails import thumbnail
from rooftop.files import atomic_write

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
    with atomic_write(path) as part:
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
