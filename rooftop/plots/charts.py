"""Charts of an evaluation as SVG text, to stand inside a page and grow and shrink with it.

Curves drawn by matplotlib; the package `plots` is its only door.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rooftop.files import atomic_write

Floats = NDArray[np.float64]
Curve = tuple[Floats, Floats]  # x, y

# Okabe and Ito 2008: told apart by colour-blind people too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rooftop",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#667",
    "axes.labelcolor": "#334",
    "xtick.color": "#667",
    "ytick.color": "#667",
}


def precision_recall_chart(curves: Mapping[str, Curve], points: Mapping[str, tuple[float, float]]) -> str:
    """Draw precision over recall.

    Args:
        curves: by name, recall and precision.
        points: places on a curve to mark, by name, recall and precision.
    """
    figure, axis = _figure(4.6, 4.1)
    for colour, (name, (recall, precision)) in zip(_colours(curves), curves.items(), strict=True):
        axis.plot(recall, precision, label=name, color=colour, linewidth=1.8)
    for marker, (name, (x, y)) in zip("osD^v", points.items(), strict=False):
        axis.plot(x, y, marker, label=name, color="#222", markersize=6, fillstyle="none", linewidth=0)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return _svg(figure)


def precision_recall_picture(recall: Floats, precision: Floats) -> NDArray[np.uint8]:
    """Draw a curve of precision over recall as a picture, uint8 (H, W, 3), for loggers."""
    figure, axis = _figure(4.6, 4.1)
    canvas = FigureCanvasAgg(figure)
    axis.plot(recall, precision, color=COLOURS[0], linewidth=1.8)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return pixels


def reliability_chart(said: Floats, true: Floats, pixels: NDArray[np.int64]) -> str:
    """Draw the share of roof over the predicted probability, and the share of pixels per bin.

    Args:
        said: mean predicted probability of each bin, NaN if empty.
        true: share of roof of each bin, NaN if empty.
        pixels: in each bin.
    """
    figure, axis = _figure(4.6, 4.1)
    edges = np.linspace(0, 1, len(pixels) + 1)
    share = pixels / max(pixels.sum(), 1)
    axis.bar(edges[:-1], share, width=np.diff(edges), align="edge", color="#dde3ea", label="share of pixels")
    axis.plot([0, 1], [0, 1], color="#889", linestyle=":", label="perfect")
    axis.plot(said, true, marker="o", markersize=4, color=COLOURS[0], linewidth=1.8, label="this run")
    axis.set(xlabel="predicted probability", ylabel="share of roof", xlim=(0, 1), ylim=(0, 1.02))
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    return _svg(figure)


def interval_chart(rows: Sequence[str], values: Mapping[str, Sequence[tuple[float, float, float]]]) -> str:
    """Draw scores with their intervals, row by row.

    Args:
        rows: labels, from top to bottom.
        values: by name of the system, (score, low, high) of each row.
    """
    figure, axis = _figure(5.4, 0.9 + (0.2 + 0.18 * len(values)) * len(rows))
    for k, (colour, (name, triples)) in enumerate(zip(_colours(values), values.items(), strict=True)):
        score, low, high = np.array(triples, dtype=np.float64).reshape(-1, 3).T
        at = np.arange(len(rows)) + (k - (len(values) - 1) / 2) * 0.7 / max(len(values), 1)
        reach = np.maximum([score - low, high - score], 0)  # an interval of percentiles may leave out the score itself
        axis.errorbar(score, at, xerr=reach, fmt="o", color=colour, label=name, capsize=2)
    axis.set(yticks=np.arange(len(rows)), yticklabels=rows, xlim=(0, 1))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside upper left", ncols=1)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def _colours(names: Mapping[str, object]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(names))]


def _svg(figure: Figure) -> str:
    """Draw as an <svg> element without fixed size; the page sets it."""
    text = io.StringIO()
    with mpl.rc_context(STYLE):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    element = text.getvalue()[text.getvalue().index("<svg") :]
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1), count=1
    )


def learning_curve(path: Path, history: Sequence[Mapping[str, float]], *, best: int | None = None) -> None:
    """Draw loss and scores over epochs into a PNG.

    Args:
        path: of the PNG.
        history: one row an epoch with `epoch` (from 0), `train/loss`, `val/loss`, `train/iou`, `val/iou`.
        best: epoch of the kept weights, from 1, as they are drawn.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, name in zip(figure.subplots(1, 2), ("loss", "iou"), strict=True):
        for split, colour in (("train", "#0072B2"), ("val", "#D55E00")):
            points = [(row["epoch"] + 1, row[f"{split}/{name}"]) for row in history if f"{split}/{name}" in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=split, color=colour, marker=".", linewidth=1.5)
        if best is not None:
            axis.axvline(best, color="0.6", linestyle=":", label="weights kept")
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110)
