import numpy as np
import pytest
from shapely import box

import rooftop.polygons.roofs as module
from rooftop.polygons.ground import Ground
from rooftop.polygons.layers import Layers
from rooftop.polygons.roofs import Shaping, find_roofs
from rooftop.raster.polygonise import polygonise
from rooftop.raster.steps import NODATA

PIXELS = Ground(None, None)
EXACT = Shaping(separate=None, tolerance=0, angle=None, shift=2, min_area=0, min_hole=0)
DEFAULT = Shaping(separate=0.85, tolerance=1, angle=20, shift=2, min_area=10, min_hole=3)


def roofs_of(values, shaping=EXACT, threshold=0.5, ground=PIXELS, targets=("roof",)):
    layers = Layers.of(values.reshape(-1, *values.shape[-2:]), targets)
    return [*find_roofs(layers, threshold=threshold, shaping=shaping, ground=ground)]


@pytest.fixture
def values():
    """Two touching roofs, one with a courtyard, one lone roof, one speck."""
    grid = np.zeros((50, 70), np.uint8)
    grid[5:20, 5:25] = 150
    grid[10:13, 12:16] = 20
    grid[20:36, 20:40] = 140
    grid[5:15, 50:65] = 200
    grid[45:47, 60:62] = 200
    return grid


def test_exact_outlines_are_those_of_the_mask(values):
    found = roofs_of(values)
    expected = polygonise((values >= 100).astype(np.uint8))
    assert sorted(roof.polygon.wkb for roof in found) == sorted(polygon.wkb for polygon in expected)


def test_touching_roofs_come_apart_with_their_own_confidence(values):
    found = sorted(roofs_of(values, DEFAULT), key=lambda roof: roof.polygon.bounds)
    assert [roof.confidence for roof in found] == pytest.approx([0.75, 0.7, 1.0], abs=0.01)
    assert [roof.area for roof in found] == pytest.approx([15 * 20 - 12, 16 * 20, 150], abs=2)
    assert [len(roof.polygon.interiors) for roof in found] == [1, 0, 0]
    assert found[0].polygon.intersection(found[1].polygon).length == pytest.approx(5, abs=1)
    assert found[2].polygon.equals(box(50, 5, 65, 15))


def test_small_roofs_and_small_holes_go(values):
    assert len(roofs_of(values)) == 3
    shaping = Shaping(separate=0.85, tolerance=1, angle=20, shift=2, min_area=200, min_hole=13)
    found = roofs_of(values, shaping)
    assert sorted(roof.area for roof in found) == pytest.approx([300, 320], abs=2)


def test_sizes_on_the_ground(values, utm):
    found = roofs_of(values, ground=Ground(utm, 0.5))
    lone = min(found, key=lambda roof: abs(roof.area - 37.5))
    assert lone.area == pytest.approx(37.5, rel=2e-3)
    assert lone.perimeter == pytest.approx(25, rel=2e-3)
    assert lone.orientation == pytest.approx(90, abs=0.5)
    metres = roofs_of(values, ground=Ground(None, 0.5))
    assert sorted(roof.area for roof in metres)[1] == 37.5
    assert Ground(None, 0.5).unit == "m"


@pytest.mark.parametrize(("roof", "degrees"), [(box(0, 0, 4, 9), 0), (box(0, 0, 9, 4), 90)])
def test_direction_of_the_long_side_without_a_place(roof, degrees):
    assert PIXELS.orientation(roof) == pytest.approx(degrees)


def test_no_data_is_no_roof():
    assert roofs_of(np.full((9, 7), NODATA, np.uint8)) == []


def test_the_threshold_counts_from_its_own_value_on(values):
    assert len(roofs_of(values, threshold=0.7)) == 3
    assert len(roofs_of(values, threshold=0.705)) == 3
    assert sum(roof.area for roof in roofs_of(values, threshold=0.705)) == 288 + 150 + 4


def test_what_is_too_large_for_a_building_is_measured_tile_by_tile(values, monkeypatch):
    expected = roofs_of(values, Shaping(None, 1, 20, 2, 0, 0))
    monkeypatch.setattr(module, "_LARGEST", 5)
    found = roofs_of(values, Shaping(0.85, 1, 20, 2, 0, 0))
    assert [roof.confidence for roof in found] == pytest.approx([roof.confidence for roof in expected])
    assert len(found) == len(expected)


def test_categories_are_told_apart(values):
    found = roofs_of(np.stack([values, values[::-1]]))
    assert [roof.category for roof in found] == [0, 0, 0, 1, 1, 1]
