""""""

import json
import logging

import numpy as np
import pyogrio.raw
import pytest
import shapely

from rooftop.errors import DataError
from rooftop.tiling import footprints
from rooftop.tiling.footprints import choose_layer, read_crs, read_shapes

logging.getLogger("pyogrio").setLevel(logging.WARNING)
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
    pages = list(read_shapes(path, box))
    return pages, {shapely.to_wkt(shapely.normalize(shape), 3) for page in pages for shape in page}


@pytest.mark.parametrize("suffix", KINDS)
def test_every_feature_comes_once_in_small_pages(written, boxes, suffix, monkeypatch):
    monkeypatch.setattr(footprints, "PAGE", 30)
    path = written(suffix)
    pages, found = read(path)
    assert read_crs(path).to_epsg() == 32645
    assert sum(map(len, pages)) == 200
    assert max(map(len, pages)) <= 30
    assert found == {shapely.to_wkt(shapely.normalize(shape), 3) for shape in boxes}


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_far_away_is_left_out(written, boxes, suffix):
    near = shapely.intersects(boxes, shapely.box(0, 0, 20, 20))
    assert sum(map(len, read(written(suffix), (0.0, 0.0, 20.0, 20.0))[0])) == near.sum() < 200


def test_features_upon_each_other_end_the_quartering(written, monkeypatch):
    monkeypatch.setattr(footprints, "PAGE", 5)
    monkeypatch.setattr(footprints, "_DEEPEST", 2)
    pages, _ = read(written(".gpkg"))
    assert sum(map(len, pages)) == 200
    assert max(map(len, pages)) > 5


@pytest.mark.parametrize("chunk", [3, 64, 100_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_collections_are_read_in_any_layout(tmp_path, chunk, indent, monkeypatch):
    monkeypatch.setattr(footprints, "_CHUNK", chunk)
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
    assert read_crs(path).to_epsg() == 32645
    ((first, second, third),) = read_shapes(path, EVERYWHERE)
    assert shapely.to_wkt(first) == "POLYGON ((0 0, 4 0, 4 3, 0 0))"
    assert second is None
    assert third is None
    del content["crs"]
    path.write_text(json.dumps(content))
    assert read_crs(path).to_epsg() is None
    assert read_crs(path).is_geographic
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert [len(page) for page in read_shapes(path, EVERYWHERE)] == [0]


def test_other_json_is_left_to_gdal(tmp_path):
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(feature))
    assert read_crs(path).to_epsg() == 4326
    assert sum(map(len, read_shapes(path, EVERYWHERE))) == 1


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
        read_crs(path)
        list(read_shapes(path, EVERYWHERE))
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
    assert choose_layer(path, None) == "buildings"
    assert sum(len(page) for page in read_shapes(path, EVERYWHERE, "buildings")) == 200


def test_of_several_layers_of_areas_one_has_to_be_named(layers):
    path = layers(districts="Polygon", buildings="Polygon")
    with pytest.raises(DataError, match="has 2 layers; say which holds the buildings: layer=districts or buildings"):
        choose_layer(path, None)
    assert choose_layer(path, "buildings") == "buildings"
    with pytest.raises(DataError, match="has no layer houses; choose one of districts, buildings"):
        choose_layer(path, "houses")


def test_geojson_has_no_layers(tmp_path):
    path = tmp_path / "roofs.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert choose_layer(path, None) is None
    with pytest.raises(DataError, match="no layers; leave it out"):
        choose_layer(path, "buildings")
