import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely import Polygon, affinity, box

from rooftop.polygons.simplify import simplified
from rooftop.polygons.walls import unsound
from rooftop.raster.polygonise import polygonise, polygonise_labels

labels = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 3))


def traced(labels):
    return [polygon for _, polygon in polygonise_labels(labels)]


@settings(max_examples=200)
@given(labels, st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_whatever_is_simplified_is_valid_and_does_not_overlap(labels, tolerance):
    polygons = traced(labels)
    simple = simplified(polygons, tolerance).polygons()
    assert len(simple) == len(polygons)
    assert not unsound(simple).any()


@settings(max_examples=100)
@given(labels)
def test_holes_stay(labels):
    polygons = traced(labels)
    simple = simplified(polygons, 1.0).polygons()
    assert [len(polygon.interiors) for polygon in simple] == [len(polygon.interiors) for polygon in polygons]


@pytest.mark.parametrize("turn", [0, 7, 22, 40])
def test_shared_walls_stay_shared(labelled, row_houses, turn):
    left, middle, right, alone = simplified(traced(labelled(row_houses, turn)), 1.0).polygons()
    together = shapely.union_all([left, middle, right])
    assert together.geom_type == "Polygon"
    assert not together.interiors
    assert left.intersection(middle).length > 18
    assert middle.intersection(right).length > 18
    assert alone.disjoint(together)


@pytest.mark.parametrize("turn", [0, 7, 22, 45])
def test_a_turned_rectangle_has_four_corners_and_its_area(labelled, turn):
    (simple,) = simplified(traced(labelled([box(20, 20, 70, 45)], turn)), 1.0).polygons()
    assert len(simple.exterior.coords) - 1 <= 8
    expected = affinity.rotate(box(20, 20, 70, 45), turn, origin=(45, 35))
    assert simple.intersection(expected).area / simple.union(expected).area > 0.96


def test_a_roof_in_the_courtyard_of_another_fits_it():
    labels = np.ones((20, 30), np.int32)
    labels[5:15, 8:22] = 2
    outer, inner = simplified(traced(labels), 1.0).polygons()
    assert outer.interiors[0].equals(inner.exterior)


def test_what_is_too_small_to_simplify_stays():
    (one,) = simplified(traced(np.array([[0, 0], [0, 1]], np.int32)), 5.0).polygons()
    assert one.is_valid
    assert one.area > 0


@pytest.mark.parametrize(("height", "width"), [(6, 8), (15, 10), (20, 30)])
def test_a_rectangle_along_the_pixels_stays_what_it_is(height, width):
    labels = np.zeros((35, 50), np.int32)
    labels[3 : 3 + height, 7 : 7 + width] = 1
    (simple,) = simplified(traced(labels), 1.0).polygons()
    assert simple.equals(box(7, 3, 7 + width, 3 + height))


def area_bias(labelled, shape):
    """By what share the areas of small shapes change on average, in all directions and places within a pixel."""
    rng = np.random.default_rng(0)
    found = []
    for turn in rng.uniform(0, 90, 60):
        side = rng.uniform(8, 25, 2)
        drawn = affinity.translate(affinity.scale(shape, *side, origin=(0, 0)), *(35 + rng.random(2)))
        found += [simplified(traced(labelled([drawn], turn)), 1.0).polygons()[0].area / drawn.area]
    return np.mean(found) - 1


@pytest.mark.parametrize(("shape", "bias"), [(box(0, 0, 1, 1), 0.01), (Polygon([(0, 0), (1, 0), (0.4, 1)]), 0.03)])
def test_corners_are_not_cut_off(labelled, shape, bias):
    assert abs(area_bias(labelled, shape)) < bias


def test_corners_of_row_houses_are_not_cut_off(labelled):
    left, right = simplified(traced(labelled([box(20, 20, 32, 34), box(32, 20, 46, 34)], 0)), 1.0).polygons()
    assert left.equals(box(20, 20, 32, 34))
    assert right.equals(box(32, 20, 46, 34))


def test_a_corner_where_two_roofs_touch_stays_common():
    labels = np.zeros((40, 50), np.int32)
    labels[4:14, 5:20] = 1
    labels[14:30, 20:31] = 2
    one, other = simplified(traced(labels), 1.0).polygons()
    assert one.equals(box(5, 4, 20, 14))
    assert other.equals(box(20, 14, 31, 30))


def test_a_hole_of_a_pixel_does_not_keep_the_roof_around_it_from_being_simplified():
    mask = np.zeros((40, 40), np.uint8)
    y, x = np.mgrid[:40, :40]
    mask[np.abs(0.8 * (x - 20) + 0.6 * (y - 20)) + np.abs(0.6 * (x - 20) - 0.8 * (y - 20)) < 16] = 1  # a square, turned
    mask[20, 20] = 0
    (roof,) = simplified(polygonise(mask), tolerance=1.0).polygons()
    assert len(roof.exterior.coords) < 10
    assert len(roof.interiors) == 1
    assert roof.is_valid
