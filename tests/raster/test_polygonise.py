import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from rooftop.raster.polygonise import polygonise, polygonise_labels, without_straight_corners
from rooftop.raster.rasterise import rasterise

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 1))


@settings(max_examples=300)
@given(masks)
def test_rasterise_is_the_inverse_bit_for_bit(mask):
    polygons = polygonise(mask)
    assert np.array_equal(rasterise(polygons, *mask.shape), mask)
    assert all(polygon.is_valid for polygon in polygons)
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    assert len(polygons) == ndimage.label(mask)[1]


def test_a_courtyard_stays_a_hole():
    mask = np.zeros((9, 13), np.uint8)
    mask[1:8, 2:12] = 1
    mask[3:5, 4:9] = 0
    (polygon,) = polygonise(mask)
    assert polygon.bounds == (2, 1, 12, 8)
    assert [hole.bounds for hole in polygon.interiors] == [(4, 3, 9, 5)]


def test_pixels_that_touch_in_a_corner_are_two_roofs():
    assert len(polygonise(np.array([[1, 0, 0], [0, 1, 0]], np.uint8))) == 2


def test_holes_that_touch_in_a_corner_are_two_holes():
    mask = np.ones((4, 5), np.uint8)
    mask[1, 1] = mask[2, 2] = 0
    (polygon,) = polygonise(mask)
    assert polygon.is_valid
    assert len(polygon.interiors) == 2


def test_order_is_reading_order_of_the_first_pixel():
    mask = np.array([[0, 0, 1, 0, 1], [1, 0, 1, 1, 1], [1, 0, 0, 0, 0]], np.uint8)
    assert [polygon.bounds[:2] for polygon in polygonise(mask)] == [(2, 0), (0, 1)]


def test_labels_that_touch_stay_apart_and_share_their_wall():
    labels = np.zeros((4, 7), np.int32)
    labels[:, 1:3], labels[:, 3:6] = 7, 3
    (left_label, left), (right_label, right) = polygonise_labels(labels)
    assert (left_label, right_label) == (7, 3)
    assert left.intersection(right).length == 4


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_nothing_gives_nothing(shape):
    assert polygonise(np.zeros(shape, np.uint8)) == []


def test_straight_corners_vanish_wherever_the_ring_starts():
    (polygon,) = polygonise(np.ones((2, 3), np.uint8))
    halves = polygon.segmentize(1)
    assert len(halves.exterior.coords) == 11
    assert without_straight_corners(halves).equals_exact(polygon)
