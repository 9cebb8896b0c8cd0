import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely import Point, Polygon, affinity, box

from rooftop.polygons.simplify import simplified
from rooftop.polygons.square import squared
from rooftop.polygons.walls import unsound
from rooftop.raster.polygonise import polygonise_labels

labels = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 3))


def outlines(labels, stretch=None):
    walls = simplified([polygon for _, polygon in polygonise_labels(labels)], 1.0)
    return walls.polygons(), squared(walls, angle=20, shift=2, stretch=stretch).polygons()


@settings(max_examples=200)
@given(labels, st.sampled_from([None, np.diag([0.7, 1 / 0.7]), np.array([[1.25, 0.75], [0.75, 1.25]])]))
def test_whatever_is_squared_is_valid_and_does_not_overlap(labels, stretch):
    simple, square = outlines(labels, stretch)
    assert len(simple) == len(square)
    assert not unsound(square).any()


@pytest.mark.parametrize("turn", [0, 5, 17, 30, 45, 80])
def test_a_turned_rectangle_becomes_one(labelled, corners_off_square, turn):
    expected = affinity.rotate(box(20, 20, 70, 45), turn, origin=(45, 35))
    _, (roof,) = outlines(labelled([box(20, 20, 70, 45)], turn))
    assert len(roof.exterior.coords) == 5
    assert corners_off_square(roof).max() < 0.02
    assert roof.intersection(expected).area / roof.union(expected).area > 0.97


@pytest.mark.parametrize("turn", [0, 12, 33])
def test_row_houses_are_square_and_share_their_walls(labelled, corners_off_square, row_houses, turn):
    _, roofs = outlines(labelled(row_houses, turn))
    together = shapely.union_all(roofs[:3])
    assert together.geom_type == "Polygon"
    assert not together.interiors
    assert all(corners_off_square(roof).max() < 0.02 for roof in roofs)


def test_an_l_shape_with_a_courtyard(labelled, corners_off_square):
    shape = box(15, 15, 75, 55) - box(50, 35, 75, 55) - box(25, 22, 40, 32)
    _, (roof,) = outlines(labelled([Polygon(shape)], 20))
    assert len(roof.exterior.coords) == 7
    assert len(roof.interiors) == 1
    assert corners_off_square(roof).max() < 0.02


def test_a_round_roof_stays_round(labelled):
    (simple,), (roof,) = outlines(labelled([Point(45, 35).buffer(25)], 0))
    assert len(roof.exterior.coords) > 9
    assert roof.symmetric_difference(simple).area < 0.05 * simple.area


def test_an_oblique_wall_stays_oblique(labelled, corners_off_square):
    roof = Polygon([(15, 15), (70, 15), (70, 35), (40, 60), (15, 60)])
    _, (found,) = outlines(labelled([roof], 0))
    assert found.intersection(roof).area / found.union(roof).area > 0.97
    assert corners_off_square(found).max() > 30


def test_a_rounded_corner_becomes_a_corner(labelled):
    worn = box(20, 20, 70, 45) - Polygon([(20, 20), (22.9, 20), (20, 22.9)])
    _, (roof,) = outlines(labelled([worn], 0))
    assert roof.equals(box(20, 20, 70, 45))


def test_an_oblique_wall_does_not_turn_the_others(labelled):
    roof = Polygon([(15, 15), (70, 15), (70, 35), (40, 60), (15, 60)])
    _, (found,) = outlines(labelled([roof], 0))
    assert found.bounds == pytest.approx(roof.bounds, abs=0.05)
    assert found.intersection(roof).area / found.union(roof).area > 0.99
