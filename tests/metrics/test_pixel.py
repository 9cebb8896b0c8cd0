import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rooftop.metrics.pixel import Counts, count, ratios, scores

SHAPE = (3, 5)


def mask(*rows):
    return np.array([[c == "#" for c in row] for row in rows], dtype=np.uint8)


def test_a_worked_example():
    # truth has 6 roof pixels, the prediction 6; they share 4; 15 pixels in all
    truth = mask("###..", "###..", ".....")
    said = mask(".###.", ".###.", ".....")
    counts = count(said, truth)
    assert counts == Counts(tp=4, fp=2, fn=2, tn=7)
    found = scores(counts)
    assert found["iou"] == 4 / 8
    assert found["f1"] == 8 / 12
    assert found["precision"] == 4 / 6
    assert found["recall"] == 4 / 6
    assert found["accuracy"] == 11 / 15


def test_pixels_that_nobody_judges_do_not_count():
    truth, said = mask("##...", ".....", "....."), mask("...##", ".....", ".....")
    valid = np.ones(SHAPE, dtype=bool)
    valid[0, 3:] = False  # the two invented pixels
    assert count(said, truth, valid) == Counts(tp=0, fp=0, fn=2, tn=11)


def test_nothing_judged_is_nothing_wrong():
    nobody = np.zeros(SHAPE, dtype=bool)
    assert set(scores(count(nobody, ~nobody, nobody)).values()) == {1.0}


def test_empty_against_empty_is_one():
    assert set(scores(count(np.zeros(SHAPE), np.zeros(SHAPE))).values()) == {1.0}


@pytest.mark.parametrize(("said", "truth"), [(1, 0), (0, 1)])
def test_all_wrong_is_zero(said, truth):
    found = scores(count(np.full(SHAPE, said), np.full(SHAPE, truth)))
    assert set(found.values()) == {0.0}


def test_categories_are_counted_apart_and_summed_together():
    truth = np.stack([mask("###..", ".....", "....."), mask(".....", ".....", "...##")])
    said = np.stack([mask("###..", ".....", "....."), mask("##...", ".....", ".....")])
    counts = count(said, truth)
    assert counts.tp.tolist() == [3, 0]
    assert counts.fn.tolist() == [0, 2]
    assert ratios(counts)["iou"].tolist() == [1.0, 0.0]
    assert scores(counts)["iou"] == 3 / 7  # 3 hits, 2 invented, 2 missed
    assert scores(counts)["iou"] == scores(count(said[0], truth[0]) + count(said[1], truth[1]))["iou"]


def test_a_sum_does_not_depend_on_how_the_split_is_cut():
    rng = np.random.default_rng(0)
    said, truth = rng.integers(0, 2, (2, 5, 4, 7))
    one_by_one = [count(s, t) for s, t in zip(said, truth, strict=True)]
    whole = count(said.reshape(20, 7), truth.reshape(20, 7))
    assert sum(one_by_one, Counts()) == whole
    assert sum(one_by_one[:2], Counts()) + sum(one_by_one[2:], Counts()) == whole


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        count(np.zeros((3, 5)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="differ in shape"):
        count(np.zeros((3, 5)), np.zeros((3, 5)), np.ones((1, 5), dtype=bool))


@given(*(arrays(np.uint8, SHAPE, elements=st.integers(0, 1)) for _ in range(3)))
def test_counts_cover_each_judged_pixel_once(said, truth, judged):
    counts = count(said, truth, judged.astype(bool))
    assert counts.tp + counts.fp + counts.fn + counts.tn == judged.sum()
    found = scores(counts)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["f1"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))
