import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rooftop.metrics.curve import (
    BINS,
    Histogram,
    average_precision,
    best_threshold,
    calibration_error,
    counts_at,
    histogram,
    precision_recall,
    reliability,
    thresholds,
)
from rooftop.metrics.pixel import count

SHAPE = (4, 7)
probabilities = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
masks = arrays(np.uint8, SHAPE, elements=st.integers(0, 1))


def of(*pairs):
    """One row of pixels: (probability, truth) each."""
    p, true = zip(*pairs, strict=True)
    return histogram(np.array([p], dtype=np.float32), np.array([true], dtype=np.uint8))


@given(probabilities, masks, masks, st.integers(0, BINS - 1))
def test_counts_at_a_threshold_are_the_counts_of_the_mask_cut_there(p, truth, judged, k):
    at = counts_at(histogram(p, truth, judged.astype(bool)))
    cut = count(p >= thresholds()[k], truth, judged.astype(bool))
    assert (at.tp[k], at.fp[k], at.fn[k], at.tn[k]) == (cut.tp, cut.fp, cut.fn, cut.tn)


@given(probabilities, masks)
def test_histograms_add_up(p, truth):
    whole, parts = histogram(p, truth), sum((histogram(p[i], truth[i]) for i in range(4)), Histogram())
    assert np.array_equal(whole.positive, parts.positive)
    assert np.array_equal(whole.negative, parts.negative)
    assert np.allclose(whole.mass, parts.mass)


def test_average_precision_worked_by_hand():
    # by falling probability: roof, not, roof, not; recall steps by 1/2 at precision 1/1 and 1/2 at 2/3
    found = of((0.9, 1), (0.8, 0), (0.7, 1), (0.1, 0))
    assert average_precision(found) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


@given(arrays(np.int64, SHAPE, elements=st.integers(0, BINS - 1)), masks)
def test_average_precision_is_the_definition_over_distinct_scores(bins, truth):
    if not truth.any():
        truth = np.ones_like(truth)
    expected, last = 0.0, 0.0
    for cut in np.unique(bins)[::-1]:
        hit = truth[bins >= cut].sum()
        recall = hit / truth.sum()
        expected += (recall - last) * hit / (bins >= cut).sum()
        last = recall
    assert average_precision(histogram(bins / BINS, truth)) == pytest.approx(expected)


def test_average_precision_without_roofs_is_undefined():
    assert np.isnan(average_precision(of((0.9, 0))))


def test_the_curve_ends_in_everything_being_roof():
    precision, recall = precision_recall(of((0.9, 1), (0.4, 0), (0.1, 0)))
    assert (precision[0], recall[0]) == (1 / 3, 1)
    assert np.all(np.diff(recall) <= 0)


def test_the_best_threshold_is_nearest_to_a_half_among_the_best():
    assert best_threshold(of((0.9, 1), (0.2, 0))) == 0.5
    assert 0.7 < best_threshold(of((0.9, 1), (0.7, 0))) <= 0.9
    assert 0.1 < best_threshold(of((0.3, 1), (0.1, 0))) <= 0.3


def test_calibration_worked_by_hand():
    # Two bins. Four pixels at 3/4, one of them roof: off by 1/2. Four at 1/4, one roof: off by 0. Mean: 1/4.
    found = of(*[(0.75, 1)], *[(0.75, 0)] * 3, *[(0.25, 1)], *[(0.25, 0)] * 3)
    assert calibration_error(found) == pytest.approx(1 / 4)
    said, true, pixels = reliability(found)
    assert pixels.tolist() == [0] * 4 + [4] + [0] * 7 + [4] + [0] * 3
    assert (said[12], true[12]) == (0.75, 0.25)
    assert np.isnan(said[0])
    assert np.isnan(true[0])


def test_certain_and_right_is_calibrated():
    assert calibration_error(of((1.0, 1), (0.0, 0))) == 0
    assert calibration_error(Histogram()) == 0


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match="0, 1"):
        of((wrong, 1))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        histogram(np.zeros((2, 3)), np.zeros((3, 2)))
