"""Picture of a sweep: the score of each job over the values of each swept key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rooftop.files import atomic_write
from rooftop.plots.charts import COLOURS

Floats = NDArray[np.float64]
MOST_KEYS = 6  # panels
MOST_VALUES = 12  # numbers of a key that are drawn at equal distances; more get an axis of numbers
MOST_LETTERS = 18  # of a value below a panel
COUNTS = ("roofs", "roof_share")  # of a prediction: more of them is not better
WIDE = 50  # largest value divided by smallest from which the axis is logarithmic


def sweep_chart(path: Path, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], *, score: str, name: str) -> None:
    """Draw a panel for each key: a dot for each job, a line for the mean of few values, a ring for the best job.

    Args:
        path: of the PNG.
        rows: a dict for each job; jobs without a score are left out.
        keys: those with several values; the first `MOST_KEYS` are drawn.
        score: column of the score.
        name: of the score where the column is `monitor`, such as "val/iou"; a name that ends in "loss" is better low.
    """
    named = name if score == "monitor" else score
    scored = [row for row in rows if isinstance(row.get(score), int | float)]
    if not scored:
        return
    heights = np.array([row[score] for row in scored], dtype=np.float64)
    best = int(np.nanargmin(heights) if named.endswith("loss") else np.nanargmax(heights))
    judged = score not in COUNTS
    keys = keys[:MOST_KEYS]
    texts = [[str(row.get(key, "")) for row in scored] for key in keys]
    columns = min(len(keys), 3)
    width = max([4.2, *(0.24 * len({*values}) for values in texts if _numbers(values) is None)])
    figure = Figure(figsize=(width * columns, 3.6 * -(-len(keys) // columns)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(keys) // columns), columns, squeeze=False, sharey=True).flatten()
    for axis, key, values in zip(axes, keys, texts, strict=False):
        at = _places(axis, values)
        axis.plot(at, heights, "o", color=COLOURS[0], alpha=0.55, markersize=5, markeredgewidth=0)
        if judged:
            axis.plot(
                at[best], heights[best], "o", color=COLOURS[1], markersize=10, fillstyle="none", markeredgewidth=2
            )
        _draw_means(axis, at, heights)
        axis.set_xlabel(key)
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(keys) :]:
        axis.set_visible(False)
    figure.supylabel(named)
    found = f"; best: {heights[best]:.4f} in job {scored[best]['job']}" if judged else ""
    figure.suptitle(f"{len(scored)} jobs{found}", fontsize=11)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110, format="png")


def _places(axis: Axes, values: Sequence[str]) -> Floats:
    """Return the position of each value, and set the axis: numbers in their order, other values side by side."""
    numbers = _numbers(values)
    distinct = sorted({*values}) if numbers is None else sorted({*values}, key=float)
    if numbers is not None and len(distinct) > MOST_VALUES:
        if numbers.min() > 0 and numbers.max() / numbers.min() >= WIDE:
            axis.set_xscale("log")
        return numbers
    slanted = len(distinct) > 6 or max(map(len, distinct)) * len(distinct) > 40
    labels = [text if len(text) <= MOST_LETTERS else f"..{text[-MOST_LETTERS + 2 :]}" for text in distinct]
    axis.set_xticks(range(len(distinct)), labels, rotation=60 if slanted else 0, ha="right" if slanted else "center")
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlim(-0.6, len(distinct) - 0.4)
    return np.array([distinct.index(value) for value in values], dtype=np.float64)


def _numbers(values: Sequence[str]) -> Floats | None:
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _draw_means(axis: Axes, at: Floats, heights: Floats) -> None:
    """Connect the means of values that several jobs have."""
    places = np.unique(at)
    if 1 < len(places) <= min(MOST_VALUES, len(at) - 1):
        axis.plot(places, [heights[at == place].mean() for place in places], color="#556", linewidth=1.2, marker="_")
