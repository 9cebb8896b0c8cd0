import numpy as np
import pytest
from pyproj import CRS, Geod
from rasterio import Affine
from scipy import ndimage
from shapely import Polygon, box
from shapely.affinity import rotate, translate

import rooftop.polygons.roofs as module
from rooftop.polygons import tiled
from rooftop.polygons.ground import Ground
from rooftop.polygons.regions import Likeness
from rooftop.polygons.roofs import Layers, Shaping, find_roofs
from rooftop.raster.georeference import Georeference
from rooftop.raster.polygonise import polygonise
from rooftop.raster.probability import NODATA
from rooftop.raster.rasterise import rasterise
from rooftop.raster.windows import Window

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


def town(targets):
    """Stored probabilities uint8 (T, 150, 211) of many roofs, most of which touch others."""
    rng = np.random.default_rng(5)
    smooth = [ndimage.gaussian_filter(rng.random((150, 211)), 3) for _ in targets]
    return np.stack([np.clip((some - some.mean()) / some.std() * 60 + 110, 0, 200) for some in smooth]).astype(np.uint8)


LIKENESS = Likeness((5.0, 0, 0, -1.0, 0, 0.5, -0.5, 0, -3.0), (-1.0, 0, 0, 0, 0, 0, 2.5))


@pytest.mark.parametrize("separate", [LIKENESS, "auto", 0.85, None])
@pytest.mark.parametrize("targets", [("roof",), ("roof", "core")])
def test_what_is_too_large_to_be_seen_at_once_comes_apart_tile_by_tile_as_it_would_as_a_whole(
    targets, separate, monkeypatch
):
    shaping = Shaping(separate, 1, 20, 2, 0, 0)
    expected = roofs_of(town(targets), shaping, targets=targets)
    monkeypatch.setattr(module, "_LARGEST", 40)
    monkeypatch.setattr(module, "TILE", 32)
    monkeypatch.setattr(tiled, "TILE", 32)
    monkeypatch.setattr(tiled, "MARGIN", 64)
    assert roofs_of(town(targets), shaping, targets=targets) == expected


def test_roofs_that_reach_beyond_a_tiles_margin_still_cover_what_they_covered(monkeypatch):
    monkeypatch.setattr(module, "_LARGEST", 40)
    monkeypatch.setattr(tiled, "TILE", 24)
    monkeypatch.setattr(tiled, "MARGIN", 3)
    values = town(("roof",))
    found = [roof.polygon for roof in roofs_of(values[0], Shaping(0.85, 0, None, 2, 0, 0))]
    assert np.array_equal(rasterise(found, *values.shape[1:]), values[0] >= 100)
    assert sum(polygon.area for polygon in found) == (values[0] >= 100).sum()


def test_a_roof_that_tiles_saw_in_pieces_is_several_polygons():
    """Two tiles beside one another call both ends of what they saw 1, and something else what lies between."""
    left, right = np.array([[1, 1, 2, 2]], np.int32), np.array([[2, 2, 1, 1]], np.int32)
    values = np.full((1, 4), 90, np.uint8)
    found = tiled.gathered([(Window(0, 0, 4, 1), left, values), (Window(4, 0, 4, 1), right, values + 60)])
    assert [(polygon.bounds, mean) for polygon, mean in found] == [
        ((0, 0, 2, 1), 120),
        ((2, 0, 6, 1), 120),
        ((6, 0, 8, 1), 120),
    ]


def test_categories_are_told_apart(values):
    found = roofs_of(np.stack([values, values[::-1]]))
    assert [roof.category for roof in found] == [0, 0, 0, 1, 1, 1]


GEOD = Geod(ellps="WGS84")
DEGREES = 0.3 / 111_320  # a side of a pixel: at 60 degrees north 0.15 m by 0.3 m


def house(georeference, azimuth):
    """A house of 20 m by 12 m at 60 degrees north as float64 corners of the pixel frame, its long side on `azimuth`."""
    first = 10.0004, 59.9998
    second = GEOD.fwd(*first, azimuth, 20)[:2]
    ring = [first, second, GEOD.fwd(*second, azimuth + 90, 12)[:2], GEOD.fwd(*first, azimuth + 90, 12)[:2]]
    return Polygon([~georeference.affine * corner for corner in ring])


def ground_angles(georeference, polygon):
    """Angles of a roof's corners on the ground, in degrees."""
    ring = georeference.to_lonlat(np.array(polygon.exterior.coords)[:-1])
    beside = zip(np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0), strict=True)
    turns = [GEOD.inv(*at, *a)[0] - GEOD.inv(*at, *b)[0] for at, (a, b) in zip(ring, beside, strict=True)]
    return [min(turn % 360, -turn % 360) for turn in turns]


@pytest.mark.parametrize("turn", [0, 30])
@pytest.mark.parametrize("azimuth", [0, 10, 45, 130])
def test_roofs_are_right_angled_on_the_ground_where_pixels_are_not_square(turn, azimuth):
    north_up = Affine(DEGREES, 0, 10, 0, -DEGREES, 60)
    georeference = Georeference(north_up * Affine.rotation(-turn, (150, 75)), CRS.from_epsg(4326).to_wkt())
    values = 200 * rasterise([house(georeference, azimuth)], 400, 500)
    assert values.sum() > 0.98 * 200 * house(georeference, azimuth).area
    (roof,) = roofs_of(values, DEFAULT, ground=Ground(georeference, georeference.metres_per_pixel(400, 500)))
    assert min(abs(roof.orientation - azimuth), 180 - abs(roof.orientation - azimuth)) < 0.5
    assert ground_angles(georeference, roof.polygon) == pytest.approx([90] * 4, abs=0.5)
    assert roof.area == pytest.approx(240, rel=0.01)


@pytest.mark.parametrize("code", [32632, 3857])
def test_where_pixels_are_square_the_place_changes_no_outline(code, labelled, row_houses):
    georeference = Georeference(Affine(0.5, 0, 1_113_000, 0, -0.5, 6_000_000), CRS.from_epsg(code).to_wkt())
    values = (200 * (labelled(row_houses, 17) > 0)).astype(np.uint8)
    placed = roofs_of(values, DEFAULT, ground=Ground(georeference, None))
    assert [roof.polygon.wkb for roof in placed] == [roof.polygon.wkb for roof in roofs_of(values, DEFAULT)]


def test_no_roof_leaves_the_picture(monkeypatch):
    """Walls made straight would, by up to two pixels, where the picture cuts roofs that lie askew."""
    rng, outside = np.random.default_rng(0), 0
    for _ in range(20):
        centre, turn = rng.uniform(0, 64, 2), rng.uniform(0, 90)
        house = translate(rotate(box(-14, -9, 14, 9), turn), *centre)
        values = rasterise([house], 64, 64) * np.uint8(200)
        for roof in roofs_of(values, DEFAULT):
            assert box(0, 0, 64, 64).covers(roof.polygon)
            assert roof.polygon.is_valid
        with monkeypatch.context() as before:
            before.setattr("rooftop.polygons.roofs._inside", lambda polygon, height, width: polygon)
            outside += sum(not box(0, 0, 64, 64).covers(roof.polygon) for roof in roofs_of(values, DEFAULT))
    assert outside


def test_auto_is_the_decision_of_the_run():
    shaping = Shaping("auto", 1, 20, 2, 0, 0)
    assert shaping.with_likeness(LIKENESS).separate == LIKENESS
    assert shaping.with_likeness(None).separate == 0.8
    assert Shaping(0.5, 1, 20, 2, 0, 0).with_likeness(LIKENESS).separate == 0.5


def test_a_learned_decision_separates_otherwise_than_a_ratio():
    values = town(("roof", "core"))
    found = {
        cut: len(roofs_of(values, Shaping(cut, 1, 20, 2, 0, 0), targets=("roof", "core"))) for cut in (0.85, LIKENESS)
    }
    assert found[LIKENESS] < found[0.85]
