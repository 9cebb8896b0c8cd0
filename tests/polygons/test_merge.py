"""Sheets side by side, apart, upon each other."""

import pickle

import numpy as np
import pytest
import shapely
from pyproj import CRS
from rasterio import Affine
from shapely import box

from rooftop.polygons.ground import Ground
from rooftop.polygons.merge import Merged, Sheet
from rooftop.polygons.roofs import Roof
from rooftop.raster.georeference import Georeference


def sheet(left, *shapes, system=32645, width=100, confidence=0.8, category=0):
    """A sheet of 100 px of half a metre, `left` px from the first; shapes in the pixels of the first."""
    place = Georeference(Affine(0.5, 0, 500_000 + left / 2, 0, -0.5, 3_060_000), CRS.from_epsg(system).to_wkt())
    ground, roofs = Ground(place, 0.5), []
    for shape in shapes:
        own = shapely.transform(shape, lambda at: np.subtract(at, (left, 0)))
        roofs.append(Roof(own, category, confidence, *ground.measure(own), ground.orientation(own)))
    return Sheet(roofs, (100, width), place)


def pixels(merged):
    """Bounds of the roofs in pixels of the first sheet."""
    back = ~Affine(0.5, 0, 500_000, 0, -0.5, 3_060_000)
    shapes = [shapely.transform(roof.polygon, lambda at: np.column_stack(back * at.T)) for roof in merged]
    return [tuple(np.round(shape.bounds, 2).tolist()) for shape in shapes]


def test_a_roof_cut_by_the_border_is_one_again():
    merged = Merged(
        [sheet(0, box(10, 10, 30, 20), box(80, 40, 100, 60)), sheet(100, box(100, 40, 115, 60), box(150, 5, 160, 9))]
    )
    assert pixels(merged) == [(10, 10, 30, 20), (80, 40, 115, 60), (150, 5, 160, 9)]
    assert merged.joined == merged.absorbed == 1
    whole = [*merged][1]
    assert shapely.get_num_coordinates(whole.polygon) == 5
    assert whole.area == pytest.approx(35 * 20 / 4, rel=2e-3)
    assert whole.perimeter == pytest.approx(55, rel=2e-3)


def test_walls_that_do_not_quite_meet_are_bridged_at_the_border_alone():
    notched = box(80, 40, 99, 60) - box(80, 48, 90, 50)  # a notch as narrow as the gap, away from the border
    merged = Merged([sheet(0, notched), sheet(100, box(100.5, 40.4, 115, 60))])
    assert len(pixels(merged)) == 1
    assert next(iter(merged)).polygon.area == pytest.approx((19 * 20 - 20 + 14.5 * 19.6 + 1.5 * 20) / 4, abs=0.5)


def test_confidence_is_the_mean_by_area():
    left, right = sheet(0, box(70, 40, 100, 60), confidence=0.9), sheet(100, box(100, 40, 110, 60), confidence=0.5)
    assert next(iter(Merged([left, right]))).confidence == pytest.approx(0.8, rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [box(100, 62, 115, 80), box(100, 50, 115, 80), box(106, 40, 115, 60)],
    ids=["beside", "a house half as far on", "across a lane"],
)
def test_neighbours_stay_two(other):
    assert len(pixels(Merged([sheet(0, box(80, 40, 100, 60)), sheet(100, other)]))) == 2


def test_roofs_of_two_categories_stay_two():
    assert len([*Merged([sheet(0, box(80, 40, 100, 60)), sheet(100, box(100, 40, 115, 60), category=1)])]) == 2


def test_the_same_roof_on_sheets_that_overlap_comes_once():
    """Sheets from 0 to 100 and from 70 to 170; the first cuts the second roof."""
    one = sheet(0, box(75, 10, 85, 20), box(90, 40, 100, 60), box(5, 5, 9, 9))
    other = sheet(70, box(75, 10, 85, 20), box(90, 40, 120, 60))
    assert sorted(pixels(Merged([one, other]))) == [(5, 5, 9, 9), (75, 10, 85, 20), (90, 40, 120, 60)]


def test_a_roof_on_four_sheets():
    parts = [
        Sheet(
            [Roof(box(90 - x, 90 - y, 110 - x, 110 - y) & box(0, 0, 100, 100), 0, 0.5, 25.0, 20.0, 0.0)],
            (100, 100),
            Georeference(Affine(0.5, 0, 500_000 + x / 2, 0, -0.5, 3_060_000 - y / 2), CRS.from_epsg(32645).to_wkt()),
        )
        for y in (0, 100)
        for x in (0, 100)
    ]
    assert pixels(Merged(parts)) == [(90, 90, 110, 110)]


def test_sheets_of_two_reference_systems_meet_in_degrees():
    left = sheet(0, box(80, 40, 100, 60), box(10, 10, 30, 20))
    lonlat = left.place.to_lonlat(np.array([(100.0, 0.0)]))
    # the same ground in web mercator
    web = Georeference(Affine.identity(), CRS.from_epsg(3857).to_wkt())
    x, y = web.from_lonlat(lonlat)[0]
    side = 0.5 / np.cos(np.radians(lonlat[0, 1]))
    right = Sheet(
        [Roof(box(0, 40, 15, 60), 0, 0.8, 75.0, 35.0, 0.0)],
        (100, 100),
        Georeference(Affine(side, 0, x, 0, -side, y), web.crs),
    )
    merged = Merged([left, right])
    assert merged.ground.georeference.name == "EPSG:4326"
    assert merged.joined == 1
    assert next(iter(merged)).area == pytest.approx(35 * 20 / 4, rel=0.02)


def test_grounds_travel_between_processes():
    place = sheet(0).place
    place.to_lonlat(np.zeros((1, 2)))  # makes what is kept
    assert pickle.loads(pickle.dumps(Ground(place, 0.5))).georeference.to_lonlat(np.zeros((1, 2))).shape == (1, 2)
