"""Histograms as SVG text, so that a report is one file without any library in the browser."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
