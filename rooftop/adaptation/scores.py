"""Scores of checked squares before and after, and the choice of the threshold."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.adaptation.squares import Tile
from rooftop.data.sources import CocoSource
from rooftop.evaluation.cases import Case, Decision, case_of
from rooftop.evaluation.counts import SplitCounts, count_picture
from rooftop.evaluation.score import Draws, Sections, intervals, score, score_draws
from rooftop.metrics.bootstrap import compare
from rooftop.metrics.curve import Histogram, counts_at, histogram, thresholds
from rooftop.metrics.pixel import ratios
from rooftop.polygons.roofs import Shaping
from rooftop.raster.probability import STEP

MOST_ROOFS = 1000  # of a square that count for the object scores
ROUNDS, SEED = 1000, 0  # of the bootstrap
LOWEST, HIGHEST = 0.1, 0.9  # threshold that may be chosen
TOLERATED = 0.02  # loss of one score, about the chance of a dozen squares
PLATEAU = 0.001  # of the IoU: thresholds this near the best are as good, and the middle one is taken
JUDGED = ("pixel.iou", "object.f1")  # scores that decide whether a run is better
Values = NDArray[np.uint8]


class SquareCases:
    """Checked squares with probabilities, as cases to score.

    Args:
        source: of the squares; its names are their files.
        squares: in the order of the scores.
        probabilities: uint8 (T, H, W) of each square, as stored.
        targets: names of the T targets.
        cutoffs: threshold of each square.
        shaping: how probabilities become polygons.

    Attributes:
        values: probabilities as given.
        categories: id and name of the only one.
    """

    def __init__(
        self,
        source: CocoSource,
        squares: Sequence[Tile],
        probabilities: Sequence[Values],
        *,
        targets: Sequence[str],
        cutoffs: Sequence[float],
        shaping: Shaping,
    ) -> None:
        self._source, self._squares, self.values = source, squares, [*probabilities]
        self._targets, self._cutoffs, self._shaping = targets, cutoffs, shaping
        rows = {name: row for row, name in enumerate(source.names)}
        self._rows = [rows[square.file] for square in squares]
        self.categories = [(source.category_id(0), source.categories[0])]

    def __len__(self) -> int:
        return len(self._squares)

    def __getitem__(self, i: int) -> Case:
        decision = Decision(self._cutoffs[i], self._shaping, self._squares[i].gsd)
        channels = np.multiply(self.values[i], STEP, dtype=np.float32)
        return case_of(self._source, self._rows[i], channels, self._targets, decision)

    def picture(self, i: int) -> Values:
        """Read the picture of a square with its margin, uint8 (H, W, C)."""
        return self._source.picture(self._rows[i])

    def histograms(self) -> list[Histogram]:
        """Pixels of each square by probability."""
        found = []
        for row, values in zip(self._rows, self.values, strict=True):
            mask, valid = self._source.truth(row)
            found.append(histogram(np.multiply(values[0], STEP, dtype=np.float32), mask[0], valid))
        return found


def choose_threshold(pixels: Iterable[Histogram]) -> float:
    """Choose the threshold with the highest IoU over squares; of thresholds as good as it, the middle one.

    Args:
        pixels: of each square, by probability.
    """
    iou = ratios(counts_at(sum(pixels, Histogram())))["iou"]
    allowed = (thresholds() >= LOWEST) & (thresholds() <= HIGHEST)
    return float(np.median(thresholds()[allowed & (iou >= iou[allowed].max() - PLATEAU)]))


@dataclass(frozen=True)
class Scored:
    """Scores of all squares.

    Attributes:
        sections: by section and name; NaN if there is nothing to score.
        draws: scores of bootstrap draws of the squares.
        ious: of the pixels of each square, float64 (N,).
    """

    sections: Sections
    draws: Draws
    ious: NDArray[np.float64]

    def of(self, key: str) -> float:
        """Score by "section.name"."""
        section, name = key.split(".")
        return self.sections[section][name]

    def record(self) -> dict[str, Any]:
        """Main scores with their intervals, as plain values for `scores.json`."""
        between = intervals(self.draws)
        kept = {"pixel": ("iou", "f1", "precision", "recall"), "object": ("f1", "precision", "recall", "ap50")}
        return {
            **{section: {name: self.sections[section][name] for name in names} for section, names in kept.items()},
            "intervals": {
                section: {name: list(between[section][name]) for name in names} for section, names in kept.items()
            },
        }


def scored(cases: SquareCases) -> Scored:
    """Score squares."""
    counts = SplitCounts([count_picture(cases[i], max_dets=MOST_ROOFS) for i in range(len(cases))], ["building"])
    pixel = counts.table["pixel"][np.argsort(counts.positions)]
    tp, fp, fn = pixel[:, 0], pixel[:, 1], pixel[:, 2]
    union = tp + fp + fn
    return Scored(
        score(counts, max_dets=MOST_ROOFS),
        score_draws(counts, max_dets=MOST_ROOFS, rounds=ROUNDS, seed=SEED),
        np.divide(tp, union, out=np.ones_like(tp), where=union > 0),
    )


@dataclass(frozen=True)
class Difference:
    """After minus before, on the same squares.

    Attributes:
        value: of the score.
        interval: 95 %, on the same bootstrap draws of the squares.
    """

    value: float
    interval: tuple[float, float]


def difference(before: Scored, after: Scored, key: str) -> Difference:
    """Compare a score, "section.name", on the same draws."""
    section, name = key.split(".")
    between, _ = compare(after.draws[section][name], before.draws[section][name])
    return Difference(after.of(key) - before.of(key), between)


def is_better(before: Scored, after: Scored) -> bool:
    """Report whether the new weights are worth taking: a higher sum of IoU and roof F1, and neither much lower.

    The IoU of a dozen squares depends on their few largest roofs; F1 counts all roofs alike. The sum is steadier.
    """
    gains = [after.of(key) - before.of(key) for key in JUDGED]
    known = [gain for gain in gains if not math.isnan(gain)]
    return sum(known) > 0 and min(known) >= -TOLERATED
