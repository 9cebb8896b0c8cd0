"""Vector files of several formats, page by page."""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing

import numpy as np
import pyogrio.raw
import pytest
import shapely

from rooftop.errors import ConfigError, DataError
from rooftop.vector import geojson
from rooftop.vector.layers import CHECK_FIRST, layer_names, open_layer

KINDS = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".fgb": "FlatGeobuf"}
EVERYWHERE = (-1.0, -1.0, 101.0, 61.0)


@pytest.fixture
def boxes():
    """Two hundred boxes of 100 x 60, some of them large, some upon each other."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1, (200, 2)) * (95, 55)
    low[:20] = 30, 30
    side = np.where(np.arange(200) % 40 == 0, 50, 2)[:, None]
    return shapely.box(*low.T, *np.minimum(low + side, (100, 60)).T)


@pytest.fixture
def written(tmp_path, boxes):
    """written(suffix) -> file of the boxes."""

    def write(suffix, **options):
        path = tmp_path / f"roofs{suffix}"
        wkb = shapely.to_wkb(boxes)
        common = {"geometry_type": "Polygon", "crs": "EPSG:32645", "driver": KINDS[suffix]}
        pyogrio.raw.write(path, wkb, [], [], **common, **options)
        return path

    return write


def read(path, box=EVERYWHERE):
    pages = list(open_layer(path).pages(box))
    shapes = [shape for page in pages for shape in page.areas.polygons]
    return pages, {shapely.to_wkt(shapely.normalize(shape), 3) for shape in shapes}


@pytest.mark.parametrize("suffix", KINDS)
def test_every_feature_comes_once_in_small_pages(written, boxes, suffix, monkeypatch):
    monkeypatch.setattr("rooftop.vector.layers.PAGE", 30)
    path = written(suffix)
    pages, found = read(path)
    assert open_layer(path).crs.to_epsg() == 32645
    assert sum(len(page.names) for page in pages) == 200
    assert max(len(page.names) for page in pages) <= 30
    assert found == {shapely.to_wkt(shapely.normalize(shape), 3) for shape in boxes}


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_far_away_is_left_out(written, boxes, suffix):
    near = shapely.intersects(boxes, shapely.box(0, 0, 20, 20))
    pages, _ = read(written(suffix), (0.0, 0.0, 20.0, 20.0))
    assert sum(len(page.names) for page in pages) == near.sum() < 200


def test_features_upon_each_other_end_the_quartering(written, monkeypatch):
    monkeypatch.setattr("rooftop.vector.layers.PAGE", 5)
    monkeypatch.setattr("rooftop.vector.layers._DEEPEST", 2)
    pages, _ = read(written(".gpkg"))
    assert sum(len(page.names) for page in pages) == 200
    assert max(len(page.names) for page in pages) > 5


@pytest.mark.parametrize("chunk", [3, 64, 100_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_collections_are_read_in_any_layout(tmp_path, chunk, indent, monkeypatch):
    monkeypatch.setattr(geojson, "_CHUNK", chunk)
    shape = {"type": "Polygon", "coordinates": [[[0, 0, 9], [4, 0, 9], [4, 3, 9], [0, 0, 9]]]}
    content = {
        "type": "FeatureCollection",
        "name": 'Häuser \\ "x" [{',
        "features": [
            {"type": "Feature", "properties": {"crs": "no", "n": [1, {"a": None}]}, "geometry": shape},
            {"type": "Feature", "properties": None, "geometry": None},
            {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [[[0, 0]]]}},
        ],
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32645"}},
        "bbox": [0, 0, 4, 3],
    }
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), encoding="utf-8-sig")
    assert open_layer(path).crs.to_epsg() == 32645
    (page,) = open_layer(path).pages(EVERYWHERE)
    assert [shapely.to_wkt(shape) for shape in page.areas.polygons] == ["POLYGON ((0 0, 4 0, 4 3, 0 0))"]
    assert page.names == [1, 2, 3]
    assert page.areas.faults == {1: "without geometry", 2: "with a ring of fewer than 3 corners"}
    del content["crs"]
    path.write_text(json.dumps(content))
    assert open_layer(path).crs.to_epsg() is None
    assert open_layer(path).crs.is_geographic
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert [page.names for page in open_layer(path).pages(EVERYWHERE)] == [[]]


def test_other_json_is_left_to_gdal(tmp_path):
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(feature))
    assert open_layer(path).crs.to_epsg() == 4326
    (page,) = open_layer(path).pages(EVERYWHERE)
    assert page.areas.faults == {0: "not an area"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": nul', "ends too early"),
        ('{"type": "FeatureCollection", "features": [{"geometry": null} 3]}', ", is missing"),
        ('{"type": "FeatureCollection", "crs": 3, "features": [{"geometry": null}]}', "has no reference system"),
        ("nothing", "not a vector file that can be read"),
    ],
)
def test_broken_collections_are_one_sentence(tmp_path, content, said):
    path = tmp_path / "a.geojson"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=said) as caught:
        list(open_layer(path).pages(EVERYWHERE))
    assert "\n" not in str(caught.value)


@pytest.fixture
def layers(tmp_path, boxes):
    """layers(name=geometry type, ...) -> GeoPackage with a layer of two hundred boxes, or nothing, for each name."""

    def write(**kinds):
        path = tmp_path / "region.gpkg"
        corners = shapely.get_coordinates(boxes).reshape(200, 5, 2)
        shapes = {"Point": shapely.points(corners[:, 0]), "LineString": shapely.linestrings(corners), "Polygon": boxes}
        for name, kind in kinds.items():
            wkb = shapely.to_wkb(shapes[kind])
            common = {"geometry_type": kind, "crs": "EPSG:32645", "driver": "GPKG", "layer": name}
            pyogrio.raw.write(path, wkb, [], [], append=path.exists(), **common)
        return path

    return write


def test_the_only_layer_of_areas_is_taken(layers):
    path = layers(trees="Point", buildings="Polygon", roads="LineString")
    layer = open_layer(path)
    assert layer.name == "buildings"
    assert sum(len(page.names) for page in layer.pages(EVERYWHERE)) == 200


def test_of_several_layers_of_areas_one_has_to_be_named(layers):
    path = layers(districts="Polygon", buildings="Polygon")
    with pytest.raises(DataError, match="has 2 layers; say which holds the buildings: layer=districts or buildings"):
        open_layer(path)
    assert open_layer(path, "buildings").name == "buildings"
    with pytest.raises(DataError, match="has no layer houses; choose one of districts, buildings"):
        open_layer(path, "houses")


def test_geojson_has_no_layers(tmp_path):
    path = tmp_path / "roofs.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert open_layer(path).name is None
    with pytest.raises(DataError, match="no layers; leave it out"):
        open_layer(path, "buildings")


KIND = np.array(["house", None, "shed", "no"], object)
HEIGHT = np.array([3, 9, 12, 5], np.int64)


@pytest.fixture
def with_fields(tmp_path):
    """with_fields(suffix, **fields) -> file of four boxes in a row with a kind, a height, and more."""

    def write(suffix, **fields):
        path = tmp_path / f"town{suffix}"
        fields = {"kind": KIND, "height": HEIGHT, **fields}
        wkb = shapely.to_wkb(shapely.box(range(0, 40, 10), 0, range(5, 45, 10), 5))
        common = {"geometry_type": "Polygon", "crs": "EPSG:32645", "driver": KINDS[suffix]}
        pyogrio.raw.write(path, wkb, [*fields.values()], [*fields], **common)
        return path

    return write


def taken(layer):
    """Western edges of the features taken, names of those left out, and their number in the file from 0."""
    pages = [*layer.pages(EVERYWHERE)]
    first = 0 if layer.path.suffix in (".shp", ".fgb") else 1  # of the FIDs
    shapes = [shape for page in pages for shape in page.areas.polygons]
    return [int(shape.bounds[0]) // 10 for shape in shapes], [name - first for page in pages for name in page.filtered]


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("height > 4", [1, 2, 3]),
        ("kind IS NOT NULL", [0, 2, 3]),
        ("kind = 'house' OR \"height\" = 12", [0, 2]),
        ("KIND LIKE 'h%' and Height < 4", [0]),
        ("height > 99", []),
        ("", [0, 1, 2, 3]),
        (" ", [0, 1, 2, 3]),
        (None, [0, 1, 2, 3]),
    ],
)
def test_a_filter_takes_the_same_features_in_every_format(with_fields, suffix, where, expected):
    kept, left = taken(open_layer(with_fields(suffix), where=where))
    assert sorted(kept) == expected
    assert len(left) == 4 - len(expected)
    assert suffix == ".fgb" or sorted(left) == [i for i in range(4) if i not in expected]  # sorted by place


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("where", ["floors > 2", "height >", "kind == 'house", '"floors" = 3', "SELECT 1", "kind = '"])
def test_a_wrong_filter_is_one_sentence_with_the_fields(with_fields, suffix, where):
    with pytest.raises(ConfigError, match="kind, height") as caught:
        open_layer(with_fields(suffix), where=where)
    assert str(caught.value).startswith(f"where={where}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", KINDS)
def test_of_openstreetmap_only_buildings_are_taken(with_fields, suffix):
    landuse = np.array([None, "forest", None, None], object)
    path = with_fields(suffix, building=KIND, landuse=landuse)
    layer = open_layer(path)
    kept, left = taken(layer)
    assert (sorted(kept), sorted(left)) == ([0, 2], [1, 3])
    assert layer.reason == "without a building tag"
    assert sorted(taken(open_layer(path, where=""))[0]) == [0, 1, 2, 3]
    assert sorted(taken(open_layer(path, where="landuse IS NOT NULL"))[0]) == [1]
    assert sorted(taken(open_layer(with_fields(suffix, building=KIND)))[0]) == [0, 1, 2, 3]


OSM = """<osm version="0.6">
<node id="1" lat="27" lon="85"/><node id="2" lat="27" lon="85.001"/><node id="3" lat="27.001" lon="85.001"/>
<node id="4" lat="27.001" lon="85"/><node id="5" lat="27.0002" lon="85.0002"/><node id="6" lat="27.0002" lon="85.0008"/>
<node id="7" lat="27.0008" lon="85.0008"/>
<way id="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/><tag k="building" v="yes"/></way>
<way id="2"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/><tag k="landuse" v="forest"/></way>
<way id="3"><nd ref="5"/><nd ref="6"/><nd ref="7"/><nd ref="5"/></way>
<way id="4"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/></way>
<way id="5"><nd ref="5"/><nd ref="6"/><nd ref="7"/><nd ref="5"/><tag k="building" v="no"/></way>
<relation id="1"><member type="way" ref="4" role="outer"/><member type="way" ref="3" role="inner"/>
<tag k="type" v="multipolygon"/><tag k="building" v="school"/></relation>
</osm>"""


def test_ways_and_relations_of_openstreetmap_have_their_names(tmp_path):
    path = tmp_path / "a.osm"
    path.write_text(OSM)
    layer = open_layer(path)
    assert (layer.name, layer.where) == ("multipolygons", "building IS NOT NULL AND building <> 'no'")
    pages = [*layer.pages((84.0, 26.0, 86.0, 28.0))]
    assert sorted(name for page in pages for name in page.names) == ["relation 1", "way 1"]
    assert [name for page in pages for name in page.filtered] == ["way 2", "way 5"]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb", ".geojson"])
def test_no_reference_system_is_one_sentence_with_a_command_that_works(with_fields, suffix, tmp_path):
    path = with_fields(suffix)
    if suffix == ".gpkg":
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE gpkg_geometry_columns SET srs_id = -1")
    elif suffix == ".shp":
        path.with_suffix(".prj").unlink()
    else:
        wkb = shapely.to_wkb([shapely.box(0, 0, 1, 1)])
        pyogrio.raw.write(path, wkb, [], [], geometry_type="Polygon", driver=KINDS[suffix])
        if suffix == ".geojson":
            path.write_text(path.read_text().replace('"features"', '"crs": {"type": "name"}, "features"'))
    with pytest.raises(DataError, match="has no reference system; assign one to the layer, e.g. ogr2ogr ") as caught:
        open_layer(path)
    command = shlex.split(str(caught.value).split("e.g. ")[1])
    assert command == ["ogr2ogr", "-a_srs", "EPSG:32645", "town_placed.gpkg", str(path)]
    if shutil.which("ogr2ogr"):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert open_layer(tmp_path / "town_placed.gpkg").crs.to_epsg() == 32645


@pytest.mark.parametrize("suffix", [".parquet", ".geoparquet"])
def test_geoparquet_is_told_how_to_be_converted(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(DataError, match=r"GeoParquet cannot be read here; convert it: pip install geopandas") as caught:
        open_layer(path)
    assert "duckdb" not in str(caught.value)
    assert f"read_parquet('{path}').to_file('a.gpkg')" in str(caught.value)


@pytest.mark.parametrize("kind", ["ESRI Shapefile", "SQLite", "GeoJSONSeq"])
def test_features_without_geometry_are_named(tmp_path, kind):
    path = tmp_path / {"ESRI Shapefile": "a.shp", "SQLite": "a.sqlite", "GeoJSONSeq": "a.txt"}[kind]
    wkb = np.array([shapely.to_wkb(shapely.box(1, 1, 2, 2)), None, None], object)
    common = {"geometry_type": "Polygon", "crs": "EPSG:4326", "driver": kind}
    pyogrio.raw.write(path, wkb, [np.arange(3)], ["n"], **common)
    first = 0 if kind in ("ESRI Shapefile", "GeoJSONSeq") else 1
    for where, expected in (("", [first + 1, first + 2]), ("n > 1", [first + 2])):
        named = [
            page.names[i]
            for page in open_layer(path, where=where).pages(EVERYWHERE)
            for i, reason in page.areas.faults.items()
            if reason == "without geometry"
        ]
        assert named == expected


def test_a_layer_of_surfaces_is_told_how_to_be_converted(tmp_path):
    if not shutil.which("ogr2ogr"):
        pytest.skip("needs gdal-bin")
    (tmp_path / "t.csv").write_text('id,WKT\n0,"TIN Z (((0 0 5,4 0 5,4 3 9,0 0 5)),((0 0 5,4 3 9,0 3 9,0 0 5)))"\n')
    make = (
        "ogr2ogr tin.gpkg t.csv -nln b -oo GEOM_POSSIBLE_NAMES=WKT -oo KEEP_GEOM_COLUMNS=NO -nlt TINZ -a_srs EPSG:32645"
    )
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(DataError, match="convert it: ogr2ogr -nlt GEOMETRY tin_any.gpkg ") as caught:
        open_layer(tmp_path / "tin.gpkg")
    command = str(caught.value).split("convert it: ")[1]
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    (page,) = open_layer(tmp_path / "tin_any.gpkg").pages(EVERYWHERE)
    assert shapely.area(page.areas.polygons).tolist() == [12]


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_pipes_folders_and_names_too_long_are_one_sentence(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    for name, said in (
        ("pipe", "a pipe or device; save the footprints to a file"),
        ("folder", "not a vector file that can be read"),
        ("a" * 300, "no such file .File name too long.; give polygons as"),
        ("missing", "no such file .No such file or directory.; give polygons as"),
    ):
        with pytest.raises(DataError, match=said):
            open_layer(tmp_path / f"{name}{suffix}")


def test_our_own_squares_are_taken_for_buildings_only_if_named(tmp_path):
    path = tmp_path / "roofs.gpkg"
    common = {"geometry_type": "Polygon", "crs": "EPSG:32645", "driver": "GPKG"}
    for name, side in ((CHECK_FIRST, 50), ("roofs", 5)):
        wkb = shapely.to_wkb([shapely.box(0, 0, side, side)])
        pyogrio.raw.write(path, wkb, [], [], layer=name, append=path.exists(), **common)

    def sides(layer):
        (page,) = layer.pages(EVERYWHERE)
        return shapely.area(page.areas.polygons).tolist()

    assert layer_names(path) == [CHECK_FIRST, "roofs"]
    assert sides(open_layer(path)) == [25]
    assert sides(open_layer(path, CHECK_FIRST)) == [2500]
    pyogrio.raw.write(path, wkb, [], [], layer="more", append=True, **common)
    with pytest.raises(DataError, match=r"has 2 layers; say which holds the buildings: layer=roofs or more\.$"):
        open_layer(path)
    alone = tmp_path / "squares.gpkg"
    pyogrio.raw.write(alone, wkb, [], [], layer=CHECK_FIRST, **common)
    assert sides(open_layer(alone)) == [25]
