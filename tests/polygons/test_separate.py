from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from rooftop.polygons.regions import by_ratio
from rooftop.polygons.separate import by_core, labelled, separate

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 1))


def by_middles(mask, middle, *, ratio):
    values = np.zeros((2, *mask.shape), np.uint8)
    return labelled(by_core(mask, middle, values), partial(by_ratio, ratio=ratio))


def two_roofs(neck):
    """Two roofs of 14 x 12 and 14 x 16 pixels that touch along `neck` pixels."""
    mask = np.zeros((30, 40), np.uint8)
    mask[4:18, 3:15] = 1
    mask[18 - neck : 32 - neck, 15:31] = 1
    return mask


@settings(max_examples=200)
@given(masks, st.floats(0.05, 1))
def test_labels_cover_the_mask_and_hang_together(mask, ratio):
    labels = separate(mask, ratio=ratio)
    assert np.array_equal(labels > 0, mask > 0)
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1


@pytest.mark.parametrize("neck", [1, 3, 6])
def test_roofs_that_touch_are_two(neck):
    labels = separate(two_roofs(neck), ratio=0.85)
    assert labels.max() == 2
    assert (labels[5:15, 4:13] == 1).all()
    assert (labels[20 - neck : 30 - neck, 18:30] == 2).all()


def test_one_roof_stays_one():
    mask = np.zeros((30, 50), np.uint8)
    mask[5:20, 4:44] = 1
    assert separate(mask, ratio=0.85).max() == 1


def test_the_ratio_decides_how_wide_a_neck_may_be():
    assert separate(two_roofs(9), ratio=0.5).max() == 1
    assert separate(two_roofs(9), ratio=0.95).max() == 2


def test_the_answer_does_not_depend_on_what_lies_beside():
    alone = separate(two_roofs(3), ratio=0.85)
    beside = separate(np.pad(two_roofs(3), ((7, 0), (0, 9))), ratio=0.85)
    assert np.array_equal(beside[7:, :-9], alone)


def test_roofs_are_numbered_in_reading_order():
    mask = np.zeros((9, 20), np.uint8)
    mask[0:2, 15:18] = mask[1:4, 2:6] = mask[6:8, 9:12] = 1
    labels = separate(mask, ratio=0.85)
    assert [labels[0, 15], labels[1, 2], labels[6, 9]] == [1, 2, 3]


@pytest.mark.parametrize("value", [0, 1])
def test_empty_and_full(value):
    labels = separate(np.full((5, 8), value, np.uint8), ratio=0.85)
    assert (labels == value).all()


def test_less_sure_pixels_between_two_roofs_part_them():
    mask = np.zeros((30, 50), np.uint8)
    mask[5:20, 4:44] = 1
    surer = mask.copy()
    surer[:, 23:25] = 0
    assert separate(mask, ratio=0.85).max() == 1
    labels = separate(mask, ratio=0.85, surer=[surer, surer])
    assert labels.max() == 2
    assert (labels[6:19, 5:22] == 1).all()
    assert np.array_equal(labels > 0, mask > 0)


def test_masks_that_are_alike_count_as_one():
    mask = two_roofs(6)
    assert np.array_equal(separate(mask, ratio=0.85, surer=[mask, mask]), separate(mask, ratio=0.85))


def row():
    """Two roofs with one outline, 15 x 40 px, and how surely each pixel is in the middle of one."""
    mask = np.zeros((30, 50), np.uint8)
    mask[5:20, 4:44] = 1
    middle = np.zeros(mask.shape, np.float32)
    middle[8:17, 7:17] = middle[8:17, 23:41] = 0.9
    return mask, middle


def test_middles_part_what_no_outline_shows():
    mask, middle = row()
    labels = by_middles(mask, middle, ratio=0.85)
    assert labels.max() == 2
    assert np.array_equal(labels > 0, mask > 0)
    assert (labels[5:20, 4:19] == 1).all()
    assert (labels[5:20, 21:44] == 2).all()


def test_a_weak_doubt_in_the_middle_parts_nothing():
    mask, middle = row()
    middle[8:17, 17:23] = 0.85
    assert by_middles(mask, middle, ratio=0.85).max() == 1
    middle[8:17, 17:23] = 0.5
    assert by_middles(mask, middle, ratio=0.85).max() == 2


def test_where_no_middle_is_known_roofs_part_at_necks():
    for neck, roofs in ((3, 2), (12, 1)):
        mask = two_roofs(neck)
        assert by_middles(mask, np.zeros(mask.shape, np.float32), ratio=0.85).max() == roofs


def test_middles_beside_a_roof_do_not_count():
    mask, middle = row()
    noise = np.where(mask, middle, 1).astype(np.float32)
    assert np.array_equal(by_middles(mask, noise, ratio=0.85), by_middles(mask, middle, ratio=0.85))


@settings(max_examples=100)
@given(masks, st.integers(0, 99), st.floats(0.05, 1))
def test_labels_by_middles_cover_the_mask_and_hang_together(mask, seed, ratio):
    middle = np.random.default_rng(seed).integers(0, 201, mask.shape).astype(np.float32) / 200
    labels = by_middles(mask, middle, ratio=ratio)
    assert np.array_equal(labels > 0, mask > 0)
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1
