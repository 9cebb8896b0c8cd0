"""Curves drawn by matplotlib; the package `plots` is its only door."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rooftop.files import atomic_write


def learning_curve(path: Path, history: Sequence[Mapping[str, float]], *, best: int | None = None) -> None:
    """Draw loss and scores over epochs into a PNG.

    Args:
        path: of the PNG.
        history: one row an epoch with `epoch`, `train/loss`, `val/loss`, `train/iou`, `val/iou`.
        best: epoch whose weights were kept.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, name in zip(figure.subplots(1, 2), ("loss", "iou"), strict=True):
        for split, colour in (("train", "#0072B2"), ("val", "#D55E00")):
            points = [(row["epoch"], row[f"{split}/{name}"]) for row in history if f"{split}/{name}" in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=split, color=colour, marker=".", linewidth=1.5)
        if best is not None:
            axis.axvline(best, color="0.6", linestyle=":", label="weights kept")
        axis.set(xlabel="epoch", ylabel=name)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110)
