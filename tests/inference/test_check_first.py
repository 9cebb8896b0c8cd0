"""Squares to look at first: what is measured, which are chosen, and where they are written."""

import json
import sqlite3

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from pyproj import CRS
from rasterio import Affine
from shapely import box

from rooftop.inference import Area
from rooftop.inference.check_first import Candidates, Check, Measured, candidates, choose, on_one_map
from rooftop.polygons.roofs import Layers
from rooftop.raster.georeference import Georeference
from rooftop.raster.probability import NODATA

METRE = Georeference.north_up(32645, (4e5, 3.06e6), 1.0)
PLAIN = {"sheets": 2, "roofs": 24, "joined": 0}


@pytest.fixture
def values():
    """Stored probabilities, uint8 (1, 20, 25): squares of 10 px, two rows of two and a half.

    0: half of it sure roof; 1: unsure all over, 0.5; 2: half as wide as a square; 3: sure ground; 4: without data but
    for 59 px; 5: as 2, and roof.
    """
    stored = np.zeros((1, 20, 25), np.uint8)
    stored[0, :10, 5:10] = 200
    stored[0, :10, 10:20] = 100
    stored[0, 10:, 10:20] = NODATA
    stored[0, 10:16, 10:20] = 200
    stored[0, 10, 10] = NODATA
    stored[0, 10:, 20:] = 200
    return stored


@pytest.fixture
def measure():
    """measure(values) -> Candidates in squares of 10 m."""

    def run(values):
        return candidates(Layers.of(values), METRE, threshold=0.4, size=10.0)

    return run


def bounds(shapes):
    return [tuple(map(int, shape.bounds)) for shape in shapes]


def test_squares_with_data_are_measured_by_their_roofs(values, measure):
    found = measure(values)
    assert bounds(found.shapes) == [(0, 0, 10, 10), (10, 0, 20, 10), (0, 10, 10, 20)]
    measured = found.measured
    assert measured.roof.tolist() == [0.5, 1, 0]
    middles = METRE.to_lonlat(np.array([(5.0, 5.0), (15.0, 5.0), (5.0, 15.0)]))
    assert np.column_stack([measured.longitude, measured.latitude]) == pytest.approx(middles)


def test_a_square_counts_from_three_fifths_of_its_pixels_with_data(values, measure):
    values[0, 10, 10] = 200  # now 60 of 100
    assert (10, 10, 20, 20) in bounds(measure(values).shapes)


def test_pixels_far_from_square_give_squares_on_the_ground():
    degrees = Georeference(Affine(1e-5, 0, 10, 0, -1e-5, 60), CRS.from_epsg(4326).to_wkt())  # 0.558 x 1.114 m
    found = candidates(Layers.of(np.zeros((1, 40, 80), np.uint8)), degrees, threshold=0.5, size=22.3)
    assert bounds(found.shapes) == [(0, 0, 40, 20), (40, 0, 80, 20), (0, 20, 40, 40), (40, 20, 80, 40)]


def measured(count, **numbers):
    """Squares with roofs in a row, 100 m apart on the equator, with some other numbers."""
    zero = dict.fromkeys(Measured._fields, np.zeros(count))
    row = {"longitude": np.arange(count) * 100 / 111_195, "roof": np.full(count, 0.3)}
    return Measured(**{**zero, **row, **{name: np.asarray(given, float) for name, given in numbers.items()}})


def test_squares_stand_for_all_others_and_spread():
    # first the middle of the row, then the middles of what is left of it and right of it
    assert choose(measured(9), 3) == [(number, "some roofs; stands for 3 squares") for number in (4, 1, 7)]


def test_squares_of_every_share_of_roof_are_chosen():
    roof = [0.1] * 6 + [0.8] * 3
    chosen = dict(choose(measured(9, roof=roof, longitude=[0] * 9), 2))
    assert {roof[number] for number in chosen} == {0.1, 0.8}
    assert sorted(words.partition(";")[2] for words in chosen.values()) == [
        " stands for 3 squares",
        " stands for 6 squares",
    ]


def test_a_city_of_many_squares_is_thinned():
    chosen = choose(measured(9000, roof=np.linspace(0.1, 0.9, 9000)), 5)
    numbers = [number for number, _ in chosen]
    assert numbers[0] == pytest.approx(4500, abs=50)
    assert np.diff([0, *sorted(numbers), 8999]).max() < 3000


def test_squares_without_roofs_are_left_out_unless_there_are_too_few_others():
    roof = [0.3, 0.0, 0.2, 0.04, 0.5]
    assert {number for number, _ in choose(measured(5, roof=roof), 3)} == {0, 2, 4}
    assert {number for number, _ in choose(measured(5, roof=roof), 4)} == {0, 2, 3, 4}


def test_no_square_is_chosen_twice_and_there_may_be_fewer():
    assert choose(measured(0), 5) == []
    alike = measured(3, longitude=[0, 0, 0])
    assert sorted(number for number, _ in choose(alike, 5)) == [0, 1, 2]


def test_squares_across_the_antimeridian_are_neighbours():
    longitude = [179.999, -179.999, 179.998, 179.997, -179.998]
    assert choose(measured(5, longitude=longitude), 1)[0][0] == 0  # the middle of the five


def test_of_overlapping_sheets_a_square_that_an_earlier_one_covers_is_left_out():
    def sheet(*shapes):
        return Candidates(np.array(shapes, dtype=object), measured(len(shapes)))

    first, second = sheet(box(0, 0, 10, 10), box(10, 0, 20, 10)), sheet(box(15, 0, 25, 10), box(25, 0, 35, 10))
    third = sheet(box(20, 0, 25, 10), box(34, 0, 44, 10), box(44, 0, 54, 10))
    found = on_one_map([first, second, third])
    # (20, 25) is free again, since the square of the second sheet over it is left out
    assert [shape.bounds[0] for shape in found.shapes] == [0, 10, 25, 20, 44]
    assert all(len(column) == 5 for column in found.measured)


def layer(path):
    """Shapes and columns of the layer of squares."""
    meta, _, wkb, columns = pyogrio.raw.read(path, layer="check_first")
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], columns, strict=True))


def test_the_layer_holds_squares_inside_the_data_for_a_person_to_tick(find, raster, town, tmp_path):
    town[:, :, 60:] = 0
    summary = find(raster(town, nodata=0), check=Check(count=4, size=6.0))
    path = tmp_path / "out" / "roofs.gpkg"
    assert [name for name, _ in pyogrio.list_layers(path)] == ["roofs", "check_first", "layer_styles"]
    info = pyogrio.read_info(path, layer="check_first")
    assert info["crs"] == "EPSG:32645"
    assert dict(zip(info["fields"], zip(info["ogr_types"], info["ogr_subtypes"], strict=True), strict=True)) == {
        "rank": ("OFTInteger", "OFSTNone"),
        "reason": ("OFTString", "OFSTNone"),
        "checked": ("OFTInteger", "OFSTBoolean"),
        "area_m2": ("OFTReal", "OFSTNone"),
    }
    shapes, columns = layer(path)
    assert columns["rank"].tolist() == [1, 2, 3, 4]
    assert columns["checked"].tolist() == [False] * 4
    assert all(columns["reason"])
    assert columns["area_m2"] == pytest.approx([36] * 4, rel=0.01)
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum())  # none overlaps
    data = box(4e5, 3.06e6 - 24, 4e5 + 18, 3.06e6)
    assert all(data.covers(shape) for shape in shapely.buffer(shapes, -1e-6))
    assert summary["pictures"][0]["check_first"] == 4
    with sqlite3.connect(path) as database:
        styles = database.execute("SELECT f_table_name, styleName FROM layer_styles WHERE useAsDefault").fetchall()
    assert styles == [("roofs", "roofs"), ("check_first", "check_first")]
    assert '"squares":[["' in (tmp_path / "out" / "map.html").read_text()


def test_the_squares_are_the_same_for_other_windows(find, raster, town, tmp_path):
    path, found = raster(town), []
    for out, window in (("one", 64), ("other", 40)):
        find(path, out, check=Check(5, 6.0), window=window)
        shapes, columns = layer(tmp_path / out / "roofs.gpkg")
        found.append([shapely.to_wkb(shapes).tolist(), columns["reason"].tolist()])
    assert found[0] == found[1]


def test_squares_lie_inside_the_area(find, raster, town, tmp_path):
    west, north = METRE.to_lonlat(np.array([(0.0, 0.0)]))[0]
    east, south = METRE.to_lonlat(np.array([(16.5, 24.0)]))[0]
    find(raster(town), area=Area.of(None, [west - 1, south, east, north + 1]), check=Check(20, 6.0))
    shapes, _ = layer(tmp_path / "out" / "roofs.gpkg")
    assert len(shapes) == 3 * 4  # the last column is three quarters as wide
    assert shapely.union_all(shapes).bounds == pytest.approx((4e5, 3.06e6 - 24, 4e5 + 16.5, 3.06e6), abs=0.3)


def test_sheets_have_squares_each_and_the_whole_has_one_ranking(find, raster, town, tmp_path):
    raster(town, "left.tif")
    raster(town, "right.tif", transform=Affine(0.3, 0, 4e5 + 0.3 * 110, 0, -0.3, 3.06e6))
    summary = find(f"{tmp_path}/*t.tif", check=Check(6, 6.0))
    assert [row["check_first"] for row in summary["pictures"]] == [6, 6]
    assert summary["merged"] == {**PLAIN, "check_first": 6}
    for name in ("left", "right"):
        assert len(layer(tmp_path / "out" / "roofs" / f"{name}.gpkg")[0]) == 6
    shapes, columns = layer(tmp_path / "out" / "roofs.gpkg")
    assert columns["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    sides = {bool(shape.centroid.x < 4e5 + 33) for shape in shapes}
    assert sides == {True, False}


@pytest.mark.parametrize("settings", [{}, {"check": Check(0, 6.0)}, {"check": Check(4, 6.0), "formats": ("geojson",)}])
def test_none_wanted_or_no_file_for_them_means_no_layer(find, raster, town, tmp_path, settings):
    (row,) = find(raster(town), **settings)["pictures"]
    assert "check_first" not in row
    path = tmp_path / "out" / "roofs.gpkg"
    assert not path.exists() or [name for name, _ in pyogrio.list_layers(path)] == ["roofs", "layer_styles"]
    assert '"squares":[]' in (tmp_path / "out" / "map.html").read_text()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_without_a_place_has_no_squares(find, raster, town, tmp_path):
    (row,) = find(raster(town, crs=None), check=Check(4, 6.0))["pictures"]
    assert row["metres_per_pixel"] == pytest.approx(0.3)
    assert "check_first" not in row
    assert not (tmp_path / "out" / "roofs.gpkg").exists()


def test_other_formats_hold_the_roofs_alone(find, raster, town, tmp_path):
    names = ("gpkg", "geojson", "fgb", "shp", "dxf")
    find(raster(town), check=Check(4, 6.0), formats=names)
    for name in names[1:]:
        path = tmp_path / "out" / f"roofs.{name}"
        assert len(pyogrio.list_layers(path)) == 1
        assert len(pyogrio.raw.read(path)[2]) == 12
    assert len(json.loads((tmp_path / "out" / "roofs.geojson").read_text())["features"]) == 12
