"""Every vector format read back by GDAL, or pyarrow."""

import importlib.util
import sqlite3

import pyogrio.raw
import pytest
import shapely
from shapely import Polygon, box

from rooftop.errors import ConfigError, RooftopError
from rooftop.polygons.formats import FORMATS, check_formats, convert
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

ABOUT = {"model": "rooftop-unet", "licence": "MIT"}
_PARTS = ("cpg", "dbf", "prj", "shp", "shx")
CONVERTED = [name for name in FORMATS if name not in ("gpkg", "geojson", "parquet")]


@pytest.fixture
def roofs():
    yard = Polygon(box(10, 20, 50, 44).exterior, [box(20, 30, 30, 35).exterior])
    return [Roof(yard, 0, 0.875, 227.5, 64.0, 90.0), Roof(box(60, 20, 70, 30), 0, 0.5, 25.0, 20.0, 0.0)]


@pytest.fixture
def written(tmp_path, utm, roofs):
    """written(name) -> file of the roofs in that format."""

    def write(name, folder="out", file="town"):
        write_geopackage(tmp_path / "r.gpkg", roofs, ground=Ground(utm, 0.5), categories=("roof",), about=ABOUT)
        path = tmp_path / folder / f"{file}{FORMATS[name].suffix}"
        convert(tmp_path / "r.gpkg", path, name, utm, ABOUT)
        return path

    return write


@pytest.mark.parametrize("name", ["fgb", "shp"])
def test_a_format_of_features_holds_outlines_attributes_and_system(written, roofs, utm, name):
    meta, _, wkb, fields = pyogrio.raw.read(written(name))
    assert "UTM zone" in str(meta["crs"]) or meta["crs"].startswith("EPSG:326")
    found = dict(zip(meta["fields"], fields, strict=True))
    expected = {shapely.normalize(shapely.transform(roof.polygon, utm.to_map)): roof for roof in roofs}
    for i, shape in enumerate(map(shapely.normalize, shapely.from_wkb(wkb))):
        (roof,) = [expected[other] for other in expected if other.equals_exact(shape, 1e-6)]
        assert (found["category"][i], found["area_m2"][i], found["confidence"][i]) == (
            "roof",
            roof.area,
            roof.confidence,
        )
        assert found["perimeter" if name == "shp" else "perimeter_m"][i] == roof.perimeter


def test_a_shapefile_comes_with_all_its_parts_under_the_name_of_the_source(written, tmp_path):
    written("shp")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"town.{end}" for end in ("cpg", "dbf", "prj", "shp", "shx")
    ]


def test_dxf_holds_outlines_alone(written):
    _, _, wkb, _ = pyogrio.raw.read(written("dxf"))
    assert [shape.area for shape in shapely.from_wkb(wkb)] == pytest.approx([(40 * 24 - 50) / 4, 25])


def test_pmtiles_are_tiles_of_the_roofs(written):
    content = written("pmtiles").read_bytes()
    assert content.startswith(b"PMTiles\x03")
    assert content[100], content[101] == (11, 16)  # lowest and highest zoom, PMTiles 3, header


@pytest.mark.parametrize("name", CONVERTED)
def test_any_folder_holds_the_file_whole_and_nothing_beside_it(written, name):
    path = written(name, "a!b;c", "d!e")
    assert {other.stem for other in path.parent.iterdir()} == {"d!e"}


@pytest.mark.parametrize("name", CONVERTED)
def test_no_roofs_are_a_file_too(tmp_path, utm, name):
    write_geopackage(tmp_path / "r.gpkg", [], ground=Ground(utm, 0.5), categories=("roof",))
    path = tmp_path / f"none{FORMATS[name].suffix}"
    convert(tmp_path / "r.gpkg", path, name, utm, {})
    assert path.is_file() == FORMATS[name].may_be_empty


def test_geoparquet_says_where_its_outlines_lie(written, roofs, utm):
    import json

    import pyarrow.parquet as pq

    table = pq.read_table(written("parquet"))
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"]["id"]["code"] == 32645
    assert table.schema.metadata[b"licence"] == b"MIT"
    (first, _) = shapely.from_wkb(table["geometry"].to_pylist())
    assert first.equals(shapely.transform(roofs[0].polygon, utm.to_map))
    assert table["area_m2"].to_pylist() == [227.5, 25.0]


def test_what_cannot_be_written_is_told_before_work(monkeypatch):
    check_formats(["gpkg", "geojson", "fgb", "shp", "dxf", "pmtiles"])
    with pytest.raises(ConfigError, match=r"formats: no format geopackage; the nearest is gpkg"):
        check_formats(["geopackage"])
    monkeypatch.setattr(pyogrio, "list_drivers", lambda **kwargs: {"GPKG": "rw"})
    with pytest.raises(ConfigError, match=r"formats: fgb cannot be written, .* lacks its driver FlatGeobuf"):
        check_formats(["fgb"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"parquet .* needs pyarrow: pip install"):
        check_formats(["parquet"])


def test_a_full_disk_leaves_nothing_and_is_one_sentence(written, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise pyogrio.errors.DataSourceError("No space left")

    monkeypatch.setattr(pyogrio.raw, "write_arrow", full)
    with pytest.raises(RooftopError, match=r"town\.fgb: cannot be written \(No space left\)"):
        written("fgb")
    assert not [*(tmp_path / "out").iterdir()]


def test_the_geopackage_says_what_made_it_and_has_two_styles(written, tmp_path):
    written("fgb")
    info = pyogrio.read_info(tmp_path / "r.gpkg", layer="roofs")
    assert ABOUT.items() <= info["layer_metadata"].items()
    with sqlite3.connect(tmp_path / "r.gpkg") as database:
        (description,) = database.execute("SELECT description FROM gpkg_contents WHERE table_name = 'roofs'").fetchone()
        styles = database.execute("SELECT styleName, useAsDefault, styleQML FROM layer_styles").fetchall()
    assert description == "model: rooftop-unet; licence: MIT"
    assert [style[:2] for style in styles] == [("roofs", 1), ("confidence", 0)]
    assert 'attr="confidence"' in styles[1][2]
