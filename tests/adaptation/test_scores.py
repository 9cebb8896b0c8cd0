"""The threshold chosen on squares, and whether a run is better."""

import numpy as np
import pytest

from rooftop.adaptation.scores import Scored, choose_threshold, is_better
from rooftop.metrics.curve import BINS, Histogram


def pixels(negative: dict[float, int], positive: dict[float, int]) -> Histogram:
    """Pixels without and with a roof by probability."""
    bins = np.zeros((2, BINS), np.int64)
    for row, found in zip(bins, (negative, positive), strict=True):
        for probability, number in found.items():
            row[int(probability * BINS)] += number
    return Histogram(bins[0], bins[1], np.zeros(BINS))


def test_the_threshold_lies_in_the_middle_of_the_best() -> None:
    one, other = pixels({0.25: 10}, {0.75: 10}), pixels({}, {0.3: 10})
    assert choose_threshold([one]) == pytest.approx(0.5, abs=1 / BINS)  # between ground and roofs
    assert choose_threshold([other]) == pytest.approx(0.2, abs=1 / BINS)  # from 0.1, the lowest allowed
    assert choose_threshold([one, other]) == pytest.approx(0.275, abs=1 / BINS)


def scored(iou: float, f1: float) -> Scored:
    return Scored({"pixel": {"iou": iou}, "object": {"f1": f1}}, {}, np.zeros(0))


@pytest.mark.parametrize(
    ("iou", "f1", "better"), [(0.71, 0.5, True), (0.69, 0.6, True), (0.71, 0.485, False), (0.9, 0.47, False)]
)
def test_better_is_a_higher_sum_and_no_score_much_lower(iou: float, f1: float, better: bool) -> None:
    assert is_better(scored(0.7, 0.5), scored(iou, f1)) is better


def test_without_roofs_the_iou_decides() -> None:
    assert not is_better(scored(0.7, float("nan")), scored(0.69, float("nan")))
    assert is_better(scored(0.7, float("nan")), scored(0.8, float("nan")))
