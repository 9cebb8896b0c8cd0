"""The choice on held-out squares, and whether a run is better."""

import numpy as np
import pytest

from rooftop.adaptation.scores import Choice, Scored, choose, is_better
from rooftop.metrics.curve import BINS, Histogram


def pixels(negative: dict[float, int], positive: dict[float, int]) -> Histogram:
    """Pixels without and with a roof by probability."""
    bins = np.zeros((2, BINS), np.int64)
    for row, found in zip(bins, (negative, positive), strict=True):
        for probability, number in found.items():
            row[int(probability * BINS)] += number
    return Histogram(bins[0], bins[1], np.zeros(BINS))


def test_share_and_threshold_of_the_highest_iou_over_the_named_squares() -> None:
    by_share = {
        0.0: [pixels({0.6: 10}, {0.3: 10}), pixels({}, {0.3: 10})],
        1.0: [pixels({0.25: 10}, {0.75: 10}), pixels({0.75: 90}, {0.25: 10})],
    }
    assert choose(by_share, [0]) == Choice(1.0, pytest.approx(0.5, abs=1 / BINS))  # between ground and roofs
    assert choose(by_share, [1]) == Choice(0.0, pytest.approx(0.2, abs=1 / BINS))  # from 0.1, the lowest allowed


def scored(iou: float, f1: float) -> Scored:
    return Scored({"pixel": {"iou": iou}, "object": {"f1": f1}}, {}, np.zeros(0))


@pytest.mark.parametrize(
    ("iou", "f1", "better"), [(0.71, 0.5, True), (0.7, 0.6, False), (0.71, 0.495, True), (0.75, 0.48, False)]
)
def test_better_is_a_higher_iou_without_lost_roofs(iou: float, f1: float, better: bool) -> None:
    assert is_better(scored(0.7, 0.5), scored(iou, f1)) is better


def test_without_roofs_the_iou_decides() -> None:
    assert is_better(scored(0.7, float("nan")), scored(0.8, float("nan")))
