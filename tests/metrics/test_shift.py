"""The best shift against trying all offsets, and worked by hand."""

import numpy as np
import pytest

from rooftop.metrics import shift
from rooftop.metrics.pixel import scores
from rooftop.metrics.shift import COLUMNS, best_shift, count_moved, count_shifted, median_shift, shift_scores

HEIGHT, WIDTH = 40, 60
ALL = np.ones((HEIGHT, WIDTH), dtype=bool)


def boxes(*corners):
    mask = np.zeros((1, HEIGHT, WIDTH), dtype=np.uint8)
    for top, left, bottom, right in corners:
        mask[:, top:bottom, left:right] = 1
    return mask


ROOFS = boxes((5, 6, 15, 20), (20, 30, 34, 50), (0, 44, 8, 60))


def moved(mask, right, down):
    """Move within the picture; 0 comes in."""
    padded = np.pad(mask, ((0, 0), (9, 9), (9, 9)))
    return padded[:, 9 - down : 9 - down + HEIGHT, 9 - right : 9 - right + WIDTH]


def row(prediction, mask, *, valid=ALL, gsd=0.5):
    return dict(zip(COLUMNS, count_shifted(prediction, mask, valid, gsd=gsd).tolist(), strict=True))


def test_a_shifted_truth_is_moved_back():
    prediction = moved(ROOFS, 3, -2)
    assert scores(count_moved(prediction, ROOFS, ALL, (0, 0)))["iou"] < 0.8
    found = row(prediction, ROOFS)
    assert (found["right"], found["down"]) == (-3, 2)
    assert (found["fp"], found["fn"], found["aligned"]) == (0, 0, 1)
    assert found["metres"] == pytest.approx(0.5 * 13**0.5)
    # 38 of 40 rows, 57 of 60 columns are judged in both: all but a strip of the roof at the corner
    assert found["tp"] == ROOFS[:, 2:, :57].sum()
    assert found["tp"] + found["tn"] == 38 * 57


@pytest.mark.parametrize(
    ("gsd", "offset"), [(0.75, (-4, 0)), (0.8, (-3, 0)), (1, (-3, 0)), (2.9, (-1, 0)), (3.1, (0, 0))]
)
def test_no_shift_is_longer_than_three_metres(gsd, offset):
    assert best_shift(moved(ROOFS, 4, 0), ROOFS, ALL, reach=3 / gsd) == offset


def test_the_reach_is_a_circle():
    prediction = moved(ROOFS, 4, 3)
    assert best_shift(prediction, ROOFS, ALL, reach=5) == (-4, -3)
    assert best_shift(prediction, ROOFS, ALL, reach=4.99) != (-4, -3)


@pytest.mark.parametrize("strip", [1024, 16, 7])
def test_it_is_the_best_of_all_offsets(strip, monkeypatch):
    monkeypatch.setattr(shift, "STRIP", strip)
    rng = np.random.default_rng(strip)
    for _ in range(6):
        mask, prediction = (rng.random((2, 2, HEIGHT, WIDTH)) < rng.uniform(0.05, 0.6)).astype(np.uint8)
        valid = rng.random((HEIGHT, WIDTH)) < 0.8
        tried = {
            (right, down): scores(count_moved(prediction, mask, valid, (right, down)))["iou"]
            for right in range(-4, 5)
            for down in range(-4, 5)
            if right**2 + down**2 <= 4**2
        }
        assert best_shift(prediction, mask, valid, reach=4) == max(tried, key=tried.get)


def test_ground_not_judged_moves_along():
    # half of the picture has no data, and the prediction there is wild
    valid = ALL.copy()
    valid[:, 30:] = False
    prediction = moved(ROOFS, -2, 1)
    prediction[:, :, 30:] = 1
    found = row(prediction, ROOFS & valid, valid=valid)
    assert (found["right"], found["down"], found["fp"], found["fn"]) == (2, -1, 0, 0)
    assert found["tp"] + found["tn"] == 39 * 28


def test_equal_ones_stay_where_they_are():
    stripes = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    stripes[:, :, ::4] = 1  # moved by 4 they fit as well
    assert best_shift(stripes, stripes, ALL, reach=9) == (0, 0)
    assert best_shift(1 - stripes, 1 - stripes, ALL, reach=9) == (0, 0)


def test_nothing_is_moved_out_of_the_picture_to_agree():
    """A roof at the border that the other side lacks is an error, though a shift would put it outside."""
    sliver, empty = boxes((10, 0, 20, 2)), boxes()
    far = boxes((10, 50, 20, 60))
    for prediction, mask in ((sliver, empty), (empty, sliver), (sliver, far)):
        found = row(prediction, mask)
        assert (found["right"], found["down"], found["aligned"]) == (0, 0, 0)
        assert found["fp"] + found["fn"] == prediction.sum() + mask.sum()
    assert row(empty, empty)["tn"] == HEIGHT * WIDTH


def test_a_split_sums_pixels_and_averages_the_shifts_of_aligned_pictures():
    pictures = [(moved(ROOFS, 3, 4), ROOFS), (ROOFS, ROOFS), (moved(ROOFS, 1, 0), ROOFS), (boxes(), ROOFS)]
    rows = np.array([count_shifted(*each, ALL, gsd=0.5) for each in pictures])
    found = shift_scores(rows.sum(axis=0))
    hits = sum(rows[:, 0])
    assert found["iou"] == pytest.approx(hits / (hits + ROOFS.sum()))
    assert found["mean_shift_m"] == pytest.approx((2.5 + 0 + 0.5) / 3)
    assert median_shift(rows) == 0.5


def test_without_metres_per_pixel_nothing_is_scored():
    rows = np.array([count_shifted(ROOFS, ROOFS, ALL, gsd=None)] * 2)
    assert np.isnan([*shift_scores(rows.sum(axis=0)).values(), median_shift(rows)]).all()
