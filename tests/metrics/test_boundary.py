import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from rooftop.metrics.boundary import (
    OutlineCounts,
    band,
    band_width,
    count_band,
    count_outlines,
    outline,
    outline_f1,
)
from rooftop.metrics.pixel import Counts, ratios


def box(top, left, bottom, right, shape=(40, 60)):
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def official_band(mask, distance):
    """Follow Cheng et al. to the letter: pad by one pixel of outside, erode `distance` times by 3 x 3."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), dtype=np.uint8), iterations=distance)
    return (mask - eroded[1:-1, 1:-1]).astype(bool)


sizes = st.tuples(st.integers(1, 40), st.integers(1, 60))
masks = sizes.flatmap(lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 1, 1, 1, 1, 1])))


@given(masks, st.integers(1, 9))
def test_the_band_is_the_official_one(mask, distance):
    assert np.array_equal(band(mask, distance), official_band(mask, distance))


def test_the_band_is_the_official_one_at_the_edge_of_the_picture():
    mask = box(0, 20, 25, 60)
    assert np.array_equal(band(mask, 4), official_band(mask, 4))
    assert band(mask, 4)[0, 40]  # cut by the picture's edge: bounded by it


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 300), 8), ((10, 20), 1), ((30, 40), 1), ((60, 80), 2), ((300, 400), 10), ((75, 100), 2)],
)
def test_band_width(size, expected):
    # 300 x 300: 0.02 * 424.26 = 8.49 -> 8; 30 x 40: 0.02 * 50 = 1; 75 x 100: 0.02 * 125 = 2.5 -> 2, to even
    assert band_width(*size) == expected == max(1, round(0.02 * np.sqrt(size[0] ** 2 + size[1] ** 2)))


def test_boundary_iou_worked_by_hand():
    # A picture of 40 x 60 has the diagonal 72.11, so d = round(1.44) = 1: bands are one pixel wide.
    # Truth: 10 x 10 at (5, 5): band of 100 - 64 = 36 pixels. Prediction: the same, one column to the right.
    # Both bands hold the top and bottom rows in columns 6-14, 2 * 9 = 18 pixels, and nothing else in common:
    # the left sides lie in columns 5 and 6, the right sides in 14 and 15. IoU = 18 / (36 + 36 - 18) = 1 / 3,
    # where the IoU of the masks is 90 / 110 = 0.82.
    counts = count_band(box(5, 6, 15, 16), box(5, 5, 15, 15))
    assert (counts.tp, counts.fp, counts.fn) == (18, 18, 18)
    assert ratios(counts)["iou"] == pytest.approx(1 / 3)


def test_the_band_of_what_nobody_judges_does_not_count():
    valid = np.ones((40, 60), dtype=bool)
    valid[:, 15:] = False
    counts = count_band(box(5, 6, 15, 16), box(5, 5, 15, 15), valid)
    assert (counts.tp, counts.fp, counts.fn) == (18, 8, 18)  # 10 of 36 predicted band pixels are in column 15


def test_categories_have_bands_of_their_own():
    masks = np.stack([box(5, 5, 15, 15), box(0, 0, 0, 0)])
    assert count_band(masks, masks).tp.tolist() == [36, 0]


def test_boundary_f1_worked_by_hand():
    # Truth 10 x 10, prediction two columns to the right: outlines of 36 pixels each.
    # Shared rows: columns 7-14 of top and bottom are met exactly: 16 pixels at distance 0.
    # Predicted columns 15 and 16, top and bottom, lie 1 and 2 from column 14: two pixels each.
    # Right side, column 16, the 8 rows between: 2 from column 14. Left side, column 7: 2 from column 5,
    # but the rows next to the top and bottom are 1 from the true top and bottom row: 2 pixels at distance 1.
    # The same for the right side's rows next to top and bottom: nearest is column 14 at distance 2.
    # So within 1: 16 + 2 + 2 = 20 of 36; within 2: all. The truth is the mirror image.
    counts = count_outlines(box(5, 7, 15, 17), box(5, 5, 15, 15))
    assert (counts.said, counts.true) == (36, 36)
    assert counts.said_near.tolist() == counts.true_near.tolist() == [20, 36, 36]
    assert outline_f1(counts) == pytest.approx([20 / 36, 1, 1])


@given(st.tuples(*[arrays(np.uint8, (9, 13), elements=st.integers(0, 1))] * 3))
def test_boundary_f1_counts_are_distances_to_the_other_outline(three):
    said, true, judged = three[0], three[1], three[2].astype(bool)
    counts = count_outlines(said, true, judged)
    for ours, other, near in ((said, true, counts.said_near), (true, said, counts.true_near)):
        there = outline(other)
        distance = distance_transform_edt(~there) if there.any() else np.full(there.shape, np.inf)
        assert near.tolist() == [(outline(ours) & judged & (distance <= t)).sum() for t in (1, 2, 3)]


def test_boundary_f1_of_nothing():
    nothing, roof = box(0, 0, 0, 0), box(5, 5, 15, 15)
    assert outline_f1(count_outlines(nothing, nothing)).tolist() == [1, 1, 1]
    assert outline_f1(count_outlines(nothing, roof)).tolist() == [0, 0, 0]
    assert outline_f1(count_outlines(roof, nothing)).tolist() == [0, 0, 0]


def test_the_edge_of_the_picture_is_no_outline():
    assert outline(np.ones((3, 4))).sum() == 0
    assert outline(box(0, 0, 3, 4)).sum() == 3 + 4 - 1


def test_outline_counts_add_up():
    one, two = (
        count_outlines(box(5, 7, 15, 17), box(5, 5, 15, 15)),
        count_outlines(box(0, 0, 9, 9), box(0, 0, 9, 9)),
    )
    both = sum([one, two], OutlineCounts())
    assert both.said == one.said + two.said
    assert both.true_near.tolist() == (one.true_near + two.true_near).tolist()


def test_truth_against_itself_is_one():
    roof = box(5, 5, 15, 15)
    assert ratios(count_band(roof, roof))["iou"] == 1
    assert outline_f1(count_outlines(roof, roof)).tolist() == [1, 1, 1]
    assert count_band(roof, roof) + Counts() == count_band(roof, roof)
