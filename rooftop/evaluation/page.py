"""The frame of a report: one self-contained HTML file that is read on a screen, a phone, or paper."""

import math
from html import escape
from pathlib import Path

from rooftop.files import atomic_write

STYLE = """
:root { --ink: #1d2430; --soft: #5c6675; --line: #dfe4ea; --paper: #fff; --tint: #f5f7fa; --accent: #0072b2 }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px } h2 { font-size: 21px; margin: 44px 0 8px }
h3 { font-size: 16px; margin: 22px 0 6px }
p { margin: 6px 0 12px; max-width: 72ch } .soft, small { color: var(--soft) } small { font-size: 13px }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin: 20px 0 8px }
.tile { background: var(--tint); border-radius: 8px; padding: 12px 14px }
.tile b { display: block; font-size: 27px; line-height: 1.25; font-variant-numeric: tabular-nums }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 28px }
.two > * { min-width: 0 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 600; font-size: 13px; color: var(--soft) } th:first-child, td:first-child { text-align: left }
td small { display: block } tr.win td { background: var(--tint) } .wide { overflow-x: auto }
svg { width: 100%; height: auto; display: block }
figure { margin: 0 0 18px } figcaption { font-size: 13px; color: var(--soft); overflow-wrap: anywhere }
.triple { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px }
.triple img, .pair img { width: 100%; display: block; border-radius: 3px; image-rendering: pixelated }
.crops { display: grid; grid-template-columns: repeat(6, 1fr); gap: 10px }
.pair { display: grid; gap: 3px; align-content: start }
.pair img { aspect-ratio: 1; object-fit: contain; background: var(--tint) }
.plot { max-width: 720px }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: 8px 12px; align-items: center }
.bar { display: flex; height: 30px; gap: 2px }
.bar span { overflow: hidden; white-space: nowrap; font-size: 13px; line-height: 30px; text-align: center; color: #111 }
.triple b { font-size: 13px; font-weight: 600; color: var(--soft) }
.span { white-space: nowrap; font-size: 13px; line-height: 24px }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 4px 0 14px; font-size: 14px }
.key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; margin-right: 6px; vertical-align: -2px }
pre { background: var(--tint); padding: 12px; border-radius: 8px; overflow-x: auto; font-size: 13px }
@media (max-width: 720px) {
  main { padding: 18px 14px 40px } h1 { font-size: 23px }
  .tiles { grid-template-columns: 1fr 1fr } .two { grid-template-columns: 1fr }
  .crops { grid-template-columns: repeat(3, 1fr) }
  th, td { padding: 5px 4px }
}
@media print { h2 { break-after: avoid } figure, tr { break-inside: avoid } }
"""


def write_page(path: Path, title: str, body: str) -> None:
    """Write a page with `body`, which is HTML, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
            f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
            encoding="utf-8",
        )


def table(head: list[str], rows: list[list[str]]) -> str:
    """Draw a table of cells that are HTML already."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def key(colours: dict[str, str]) -> str:
    """Explain colours: words by CSS colour."""
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(word)}</span>' for word, colour in colours.items()
    )
    return f'<div class="key">{items}</div>'


def bars(rows: dict[str, dict[str, float]], colours: dict[str, str]) -> str:
    """Draw one bar a row, cut into parts; `rows` by label, of each the shares by name, which add up to 1."""
    drawn = ""
    for label, parts in rows.items():
        cells = "".join(
            f'<span style="flex:{share:.5f};background:{colours[name]}" title="{escape(name)} {share:.1%}">'
            f"{f'{share:.0%}' if share >= 0.08 else ''}</span>"
            for name, share in parts.items()
            if share > 0
        )
        drawn += f'<small>{escape(label)}</small><div class="bar">{cells}</div>'
    return f'{key(colours)}<div class="bars">{drawn}</div>'


def image(jpeg: str, words: str) -> str:
    """Put a JPEG in base64 on the page; `words` for those who cannot see it."""
    return f'<img src="data:image/jpeg;base64,{jpeg}" alt="{escape(words, quote=True)}" loading="lazy">'


def number(value: float | None, digits: int = 3) -> str:
    """Write a score, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def span(interval: tuple[float, float] | None) -> str:
    """Write an interval, or a dash."""
    if interval is None or math.isnan(interval[0]):
        return "–"
    return f'<span class="span">{number(interval[0])} to {number(interval[1])}</span>'
