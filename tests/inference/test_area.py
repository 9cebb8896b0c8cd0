"""Predictions of an area only."""

import json

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio
import shapely
from PIL import Image
from pycocotools import mask as coco
from pyproj import CRS, Transformer
from rasterio import Affine

from rooftop.errors import ConfigError, SourceError
from rooftop.inference import Area
from rooftop.raster.georeference import Georeference
from rooftop.raster.picture import read_mask
from rooftop.raster.scene import Scene
from rooftop.raster.windows import Window

UTM = "EPSG:32645"


@pytest.fixture(autouse=True)
def near(monkeypatch):
    """Look at 3 m (10 px) beyond the border: the town is small."""
    monkeypatch.setattr("rooftop.inference.area.MARGIN", 3.0)


@pytest.fixture
def polygons(tmp_path):
    """Write polygons in pixels of the town as a vector file in some reference system; returns its name."""

    def write(shapes, name="area.gpkg", crs="EPSG:4326", layer=None, append=False):
        to_map = Affine(0.3, 0, 4e5, 0, -0.3, 3.06e6)
        turn = Transformer.from_crs(UTM, crs, always_xy=True)
        placed = [shapely.transform(s, lambda at: np.column_stack(turn.transform(*(to_map * at.T)))) for s in shapes]
        kind = {"geometry_type": "Polygon", "crs": crs, "layer": layer, "append": append}
        pyogrio.raw.write(tmp_path / name, np.array([s.wkb for s in placed], dtype=object), [], [], **kind)
        return str(tmp_path / name)

    return write


def outlines(folder):
    """Bounds of the written roofs in pixels of the source, from the map coordinates."""
    _, _, wkb, _ = pyogrio.raw.read(folder / "roofs.gpkg", layer="roofs")
    back = ~Affine(0.3, 0, 4e5, 0, -0.3, 3.06e6)
    shapes = [shapely.transform(shapely.from_wkb(s), lambda at: np.column_stack(back * at.T)) for s in wkb]
    return sorted(tuple(round(number) for number in shape.bounds) for shape in shapes)


CORNER = shapely.box(0, 0, 42, 33)  # cuts the second roof of both rows it holds: x from 30 to 45, y from 25 to 35
FOUR = [(5, 5, 20, 15), (5, 25, 20, 35), (30, 5, 45, 15), (30, 25, 45, 35)]


@pytest.mark.parametrize(("name", "crs"), [("a.gpkg", "EPSG:4326"), ("a.shp", UTM), ("a.geojson", "EPSG:4326")])
def test_roofs_come_whole_if_their_middle_lies_inside(find, raster, town, polygons, tmp_path, name, crs):
    summary = find(raster(town), area=Area.of(polygons([CORNER, shapely.box(100, 60, 109, 79)], name, crs), None))
    assert outlines(tmp_path / "out") == FOUR
    assert summary["roofs"] == 4
    (row,) = summary["pictures"]
    assert row["valid_pixels"] == pytest.approx(42 * 33 + 9 * 19, abs=30)
    assert row["roof_pixels"] == pytest.approx((15 + 12) * (10 + 8), abs=20)  # cut at the border


def test_a_box_of_degrees_is_an_area_too(find, raster, town, polygons, tmp_path):
    west, south, east, north = pyogrio.read_bounds(polygons([CORNER]))[1].ravel()
    find(raster(town), area=Area.of(None, [west, south, east, north]))
    assert outlines(tmp_path / "out") == FOUR


def test_both_mean_their_overlap(find, raster, town, polygons, tmp_path):
    bounds = pyogrio.read_bounds(polygons([shapely.box(25, 0, 110, 80)], "right.gpkg"))[1].ravel()
    find(raster(town), area=Area.of(polygons([CORNER]), bounds.tolist()))
    assert outlines(tmp_path / "out") == FOUR[2:]


def test_two_areas_side_by_side_share_no_roof(find, raster, town, polygons, tmp_path):
    path, found = raster(town), []
    for name, box in (("left", shapely.box(0, 0, 61, 80)), ("right", shapely.box(61, 0, 110, 80))):
        find(path, name, area=Area.of(polygons([box], f"{name}.gpkg"), None))
        found += outlines(tmp_path / name)
    assert len(found) == len({*found}) == 12


def test_the_rasters_show_the_window_of_the_area_and_coco_the_source(find, raster, town, polygons, tmp_path):
    box = shapely.box(52, 42, 99, 60)
    summary = find(raster(town), area=Area.of(polygons([box]), None), probability=True)
    (row,) = summary["pictures"]
    column, top, width, height = row["window"]
    assert (row["height"], row["width"]) == (80, 110)
    assert (column, top) == pytest.approx((41, 31), abs=1)
    with rasterio.open(tmp_path / "out" / "probability.tif") as dataset:
        values = dataset.read(1)
        assert values.shape == (height, width)
        assert dataset.transform.c == pytest.approx(4e5 + 0.3 * column)
        assert (values[:8] == 255).all()
        y, x = 45 - top, 55 - column
        assert (values[y : y + 10, x : x + 15] == 199).all()
    assert read_mask(tmp_path / "out" / "masks" / "scene.png").shape == (height, width)
    results = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    boxes = sorted(coco.toBbox(result["segmentation"]).tolist() for result in results)
    assert boxes == [[55, 45, 15, 10], [80, 45, 15, 10]]
    assert results[0]["segmentation"]["size"] == [80, 110]


def test_windows_away_from_the_area_are_not_even_read(find, raster, town, polygons, monkeypatch):
    read, values = [], Scene.values
    monkeypatch.setattr(Scene, "values", lambda scene, window: read.append(window) or values(scene, window))
    ends = [shapely.box(0, 0, 20, 20), shapely.box(420, 300, 439, 319)]
    assert find(raster(np.tile(town, (1, 4, 4))), area=Area.of(polygons(ends), None))["roofs"] == 1
    assert 1 < len(read) < 10  # of 63 windows of 64 px
    assert {(window.column, window.row) for window in read} >= {(0, 0)}


def test_a_tile_known_by_its_name_is_placed_and_takes_an_area(find, tmp_path):
    """A tile of Banepa; its lower half, up to 27.637915 degrees, contains one of two roofs."""
    picture = np.full((256, 256, 3), 30, np.uint8)
    picture[20:40, 30:60] = picture[200:220, 100:140] = 220
    Image.fromarray(picture).save(tmp_path / "18_193343_110117.png")
    (row,) = find(tmp_path / "18_193343_110117.png")["pictures"]
    assert row["metres_per_pixel"] == pytest.approx(0.528, abs=0.001)
    assert row["reference_system"] == "EPSG:3857"
    assert row["roofs"] == 2
    meta, _, wkb, _ = pyogrio.raw.read(tmp_path / "out" / "roofs.gpkg", layer="roofs")
    assert meta["crs"] == "EPSG:3857"
    pixel = 2 * 20037508.342789244 / 2**26
    left = 193343 * 256 * pixel - 20037508.342789244
    assert min(shapely.bounds(shapely.from_wkb(wkb))[:, 0]) == pytest.approx(left + 30 * pixel, abs=pixel / 100)
    summary = find(tmp_path / "18_193343_110117.png", "half", area=Area.of(None, [85, 27, 86, 27.637915]))
    assert summary["roofs"] == 1
    assert summary["pictures"][0]["valid_pixels"] == 256 * 128


def test_a_scene_outside_or_without_a_place_is_skipped_or_ends_in_a_sentence(find, raster, town, polygons, tmp_path):
    away = {"transform": Affine(0.3, 0, 5e5, 0, -0.3, 3.06e6)}
    raster(town, "here.tif"), raster(town, "there.tif", **away)
    area = Area.of(polygons([CORNER]), None)
    summary = find(f"{tmp_path}/*here.tif", area=area)
    assert [row["picture"] for row in summary["pictures"]] == [str(tmp_path / "here.tif")]
    assert summary["skipped"][0]["why"].startswith(f"{tmp_path}/there.tif: does not overlap aoi={tmp_path}/area.gpkg;")
    with pytest.raises(SourceError, match=r"there\.tif: does not overlap aoi=.*; choose another area"):
        find(tmp_path / "there.tif", area=area)
    Image.fromarray(np.moveaxis(town, 0, -1)).save(tmp_path / "photo.png")
    with pytest.raises(SourceError, match=r"photo\.png: has no place on the map, so bbox=\[1,2,3,4\] cannot"):
        find(tmp_path / "photo.png", area=Area.of(None, [1, 2, 3, 4]))


def test_a_file_that_is_no_area_ends_in_a_sentence(polygons, tmp_path):
    with pytest.raises(ConfigError, match=r"aoi=.*missing\.gpkg: .*no such file"):
        Area.of(str(tmp_path / "missing.gpkg"), None)
    polygons([CORNER], "two.gpkg", layer="one")
    path = polygons([CORNER], "two.gpkg", layer="other", append=True)
    with pytest.raises(
        ConfigError, match=r"has 2 layers; name that of the area: aoi=.*\|layername=NAME., with NAME one or"
    ):
        Area.of(path, None)
    assert Area.of(f"{path}|layername=other", None).layer.name == "other"


@pytest.mark.parametrize("bbox", [[1, 2, 3], [4e5, 3e6, 4.1e5, 3.1e6], [1, 5, 2, 4], [0, 0, float("nan"), 1]])
def test_numbers_that_are_no_box_of_degrees_are_refused(bbox):
    with pytest.raises(ConfigError, match=r"^bbox=\[.*\]: .*\[west,south,east,north\]"):
        Area.of(None, bbox)


@pytest.mark.parametrize(
    ("bbox", "columns"), [([179.9998, -1, -179.9998, 1], (80, 120)), ([-180, -1, 0, 1], (100, 200))]
)
def test_a_box_across_the_antimeridian(bbox, columns):
    """A raster of 200 px of 1e-5 degrees, half of it on either side."""
    place = Georeference(Affine(1e-5, 0, 179.999, 0, -1e-5, 0.0005), CRS.from_epsg(4326).to_wkt())
    part = Area.of(None, bbox).part_of("a.tif", place, (100, 200))
    assert part.inside.shape.bounds == pytest.approx((columns[0], 0, columns[1], 100), abs=0.01)
    assert part.inside.mask(Window(0, 0, 200, 100)).sum() == (columns[1] - columns[0]) * 100


def test_another_area_is_another_prediction_to_resume(polygons):
    place, size = Georeference(Affine(0.3, 0, 4e5, 0, -0.3, 3.06e6), CRS.from_epsg(32645).to_wkt()), (80, 110)
    shapes = (CORNER, shapely.box(0, 0, 42, 33.5), CORNER)
    keys = [Area.of(polygons([shape]), None).part_of("a.tif", place, size).key() for shape in shapes]
    assert keys[0] == keys[2] != keys[1]
    assert json.loads(json.dumps(keys)) == keys
