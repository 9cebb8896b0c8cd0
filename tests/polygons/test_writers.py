import json
import re
import sqlite3
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS
from rasterio import Affine
from shapely import Polygon, box

from rooftop.polygons.check_first import Square
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof, Spool
from rooftop.polygons.webmap import write_map
from rooftop.raster.georeference import Georeference

NAMES = ("building", "shed")
PIXELS = Ground(None, None)


@pytest.fixture
def roofs(utm):
    """A roof with a courtyard and a small one beside it."""
    yard = Polygon(box(10, 20, 50.25, 44).exterior, [box(20, 30, 30, 35).exterior])
    shapes = [yard, Polygon([(60, 20), (70, 22), (66, 30.125)])]
    ground = Ground(utm, 0.5)
    return [Roof(s, i, 0.87654, *ground.measure(s), ground.orientation(s)) for i, s in enumerate(shapes)]


def test_a_spool_gives_back_what_it_got(tmp_path, roofs):
    spool = Spool(tmp_path / "roofs.spool", iter(roofs))
    assert len(spool) == 2
    assert [*spool] == [*spool] == roofs


def test_geojson_is_in_degrees_counter_clockwise_and_in_place(tmp_path, roofs, utm):
    write_geojson(tmp_path / "r.geojson", iter(roofs), ground=Ground(utm, 0.5), categories=NAMES)
    content = json.loads((tmp_path / "r.geojson").read_text())
    assert set(content) == {"type", "features"}
    first, second = content["features"]
    assert second["properties"]["category"] == "shed"
    assert first["properties"]["confidence"] == 0.877
    assert first["properties"]["area_m2"] == pytest.approx((40.25 * 24 - 50) / 4, rel=2e-3)
    polygon = shapely.geometry.shape(first["geometry"])
    assert polygon.exterior.is_ccw
    assert not polygon.interiors[0].is_ccw
    expected = shapely.transform(roofs[0].polygon, utm.to_lonlat)
    assert polygon.hausdorff_distance(expected) < 1e-8
    assert pyogrio.read_info(tmp_path / "r.geojson")["features"] == 2


def test_without_a_place_geojson_says_that_it_holds_pixels(tmp_path, roofs):
    write_geojson(tmp_path / "r.geojson", roofs, ground=PIXELS, categories=NAMES)
    content = json.loads((tmp_path / "r.geojson").read_text())
    assert content["frame"].startswith("pixels")
    assert content["features"][0]["geometry"]["coordinates"][0][0] in [[10, 20], [10, 44], [50.25, 20], [50.25, 44]]
    assert "area_px2" in content["features"][0]["properties"]


def test_no_roofs_are_a_collection_too(tmp_path):
    write_geojson(tmp_path / "r.geojson", [], ground=PIXELS, categories=NAMES)
    assert json.loads((tmp_path / "r.geojson").read_text())["features"] == []


def test_a_roof_on_the_antimeridian_is_cut_there(tmp_path):
    place = Georeference(Affine(0.3, 0, 800_000, 0, -0.3, 8_100_000), CRS.from_epsg(32760).to_wkt())
    edge = place.to_lonlat(np.column_stack([np.arange(200_000.0), np.zeros(200_000)]))[:, 0]
    shift = int(np.argmax(edge < 0))
    roof = Roof(box(shift - 40, 0, shift + 40, 30), 0, 1.0, 1.0, 1.0, 0.0)
    write_geojson(tmp_path / "r.geojson", [roof], ground=Ground(place, 0.3), categories=NAMES)
    (feature,) = json.loads((tmp_path / "r.geojson").read_text())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    parts = [shapely.geometry.Polygon(part[0]) for part in feature["geometry"]["coordinates"]]
    assert len(parts) == 2
    assert all(part.is_valid and part.bounds[2] - part.bounds[0] < 0.001 for part in parts)
    assert {part.bounds[2] == 180 or part.bounds[0] == -180 for part in parts} == {True}


@pytest.mark.parametrize("west", [179.9999, -180.0001])
def test_degrees_beyond_180_are_cut_too(tmp_path, west):
    place = Georeference(Affine(1e-6, 0, west, 0, -1e-6, -17), CRS.from_epsg(4326).to_wkt())
    roof = Roof(box(0, 0, 200, 40), 0, 1.0, 1.0, 1.0, 0.0)
    write_geojson(tmp_path / "r.geojson", [roof], ground=Ground(place, 0.1), categories=NAMES)
    (feature,) = json.loads((tmp_path / "r.geojson").read_text())["features"]
    (east, west) = sorted(shapely.geometry.Polygon(part[0]).bounds for part in feature["geometry"]["coordinates"])
    assert east[0] == -180
    assert west[2] == 180
    assert east[2] - east[0] == pytest.approx(1e-4)


def test_geopackage_keeps_reference_system_shapes_and_attributes(tmp_path, roofs, utm):
    path = tmp_path / "roofs.gpkg"
    write_geopackage(path, iter(roofs), ground=Ground(utm, 0.5), categories=NAMES)
    info = pyogrio.read_info(path, layer="roofs")
    assert CRS.from_user_input(info["crs"]).to_epsg() == 32645
    assert info["features"] == 2
    assert [*info["fields"]] == ["category", "confidence", "area_m2", "perimeter_m", "orientation"]
    _, _, geometry, fields = pyogrio.raw.read(path, layer="roofs")
    expected = shapely.transform(roofs[0].polygon, utm.to_map)
    assert shapely.from_wkb(geometry[0]).equals(expected)
    assert fields[0].tolist() == ["building", "shed"]
    assert [child.name for child in tmp_path.iterdir()] == ["roofs.gpkg"]


def test_geopackage_carries_its_style(tmp_path, roofs, utm):
    path = tmp_path / "roofs.gpkg"
    write_geopackage(path, roofs, ground=Ground(utm, 0.5), categories=NAMES)
    with sqlite3.connect(path) as database:
        ((layer, geometry, style, default),) = database.execute(
            "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles WHERE useAsDefault"
        )
        (kind,) = database.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'").fetchone()
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)
    assert (layer, geometry, default, kind) == ("roofs", "geom", 1, "attributes")
    assert ElementTree.fromstring(style.split("\n", 1)[1]).tag == "qgis"


def test_a_geopackage_without_roofs_and_one_of_several_chunks(tmp_path, roofs, utm, monkeypatch):
    monkeypatch.setattr("rooftop.polygons.geopackage._CHUNK", 3)
    for count in (0, 3, 7):
        path = tmp_path / f"{count}.gpkg"
        write_geopackage(path, roofs[:1] * count, ground=Ground(utm, 0.5), categories=NAMES)
        assert pyogrio.read_info(path, layer="roofs")["features"] == count


def test_a_reference_system_without_a_code(tmp_path, roofs):
    wkt = CRS.from_proj4("+proj=tmerc +lat_0=27 +lon_0=85.1 +k=0.9999 +x_0=1000 +datum=WGS84").to_wkt()
    place = Georeference(Affine(0.5, 0.1, 0, 0.1, -0.5, 0), wkt)
    write_geopackage(tmp_path / "r.gpkg", roofs, ground=Ground(place, 0.5), categories=NAMES)
    assert "Transverse Mercator" in str(
        CRS.from_user_input(pyogrio.read_info(tmp_path / "r.gpkg", layer="roofs")["crs"]).to_wkt()
    )


def test_a_map_is_one_file_that_loads_nothing(tmp_path, roofs, utm):
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    title = "</script><b>a"
    write_map(tmp_path / "m.html", roofs, picture, scene=(title, 120, 180, Ground(utm, 0.5)), categories=NAMES)
    text = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 1
    assert "http://" not in text
    assert "https://" not in text
    assert "/*ROOFS*/" not in text
    assert text.count("area_m2") == 2
    assert "20.0,30.0" in text
    grid = np.array(json.loads(re.search(r"const MAP = (.*);", text)[1])["lonlat"])
    assert grid.shape == (9, 9, 2)
    assert grid[0, 0] == pytest.approx(utm.to_lonlat(np.array([(0.0, 0.0)]))[0], abs=1e-6)
    assert grid[8, 4] == pytest.approx(utm.to_lonlat(np.array([(90.0, 120.0)]))[0], abs=1e-6)


def test_a_map_shows_squares_to_check_first_by_rank(tmp_path, roofs, utm):
    squares = [Square(box(0, 0, 160, 120), "many roofs", 4800.0), Square(box(160, 0, 180, 120), "</script>", 600.0)]
    scene = ("a", 120, 180, Ground(utm, 0.5))
    write_map(
        tmp_path / "m.html", roofs, np.zeros((60, 90, 3), np.uint8), scene=scene, categories=NAMES, squares=squares
    )
    text = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 1
    first, second = json.loads(re.search(r"const MAP = (.*);", text)[1])["squares"]
    assert first == ["many roofs", [160, 0, 160, 120, 0, 120, 0, 0]]
    assert second[0] == "</script>"


def test_a_map_without_a_place_tells_no_coordinates(tmp_path, roofs):
    picture = np.zeros((60, 90, 3), np.uint8)
    write_map(tmp_path / "m.html", roofs, picture, scene=("a", 120, 180, PIXELS), categories=NAMES)
    assert '"lonlat":null' in (tmp_path / "m.html").read_text(encoding="utf-8")
