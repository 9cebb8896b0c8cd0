import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import CRS, Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from rooftop.errors import SourceError
from rooftop.raster.scene import is_scene, open_scene, unplaced

UTM, WGS84 = CRS.from_epsg(32645), CRS.from_epsg(4326)
NORTH_UP = Affine(0.3, 0, 500_000, 0, -0.3, 3_000_000)
TURNED = Affine.translation(500_000, 3_000_000) * Affine.rotation(20) * Affine.shear(5, 0) * Affine.scale(0.3, -0.3)
DEGREES = Affine(2.7e-6, 0, 87, 0, -2.7e-6, 27.1)
CORNERS = [(0, 0), (53, 0), (0, 37), (53, 37)]  # column, row


@pytest.fixture
def bare(geotiff, rgb):
    """Write a GeoTIFF without a place on the map; returns its path."""

    def write(**profile):
        with unplaced():
            return geotiff(rgb, **{"crs": None, "transform": None, **profile})

    return write


@pytest.fixture
def world(bare):
    """Write a GeoTIFF with a world file beside it; returns its path."""

    def write(affine):
        path = bare()
        x, y = affine * (0.5, 0.5)
        lines = (affine.a, affine.d, affine.b, affine.e, x, y)
        Path(path).with_suffix(".tfw").write_text("\n".join(map(repr, lines)))
        return path

    return write


@pytest.fixture
def points(bare):
    """Write a GeoTIFF with ground control points; returns its path."""

    def write(affine, crs, pixels=CORNERS, bend=0.0):
        path = bare()
        places = [affine * (column, row + (bend if column and row else 0)) for column, row in pixels]
        found = [GroundControlPoint(row, column, *place) for (column, row), place in zip(pixels, places, strict=True)]
        with unplaced(), rasterio.open(path, "r+") as dataset:
            dataset.gcps = (found, crs or CRS())
        return path

    return write


def placement(path, crs=None):
    with open_scene(path, crs=crs) as scene:
        return scene.placement


def same(found, affine, name="EPSG:32645"):
    return found.name == name and np.allclose(found.affine[:6], affine[:6], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("affine", [NORTH_UP, TURNED])
def test_corners_without_a_reference_system_are_completed_by_one(world, affine):
    path = world(affine)
    found = placement(path)
    assert found.georeference is None
    assert found.gsd == pytest.approx(0.3, rel=1e-6)
    assert "has corners but no reference system; set crs=EPSG:CODE, or write it into the file" in found.warning
    assert same(placement(path, "EPSG:32645").georeference, affine)


def test_corners_in_degrees_are_taken_for_degrees(world):
    assert placement(world(DEGREES)).gsd == pytest.approx(0.283, abs=1e-3)


@pytest.mark.parametrize("driver", ["jpg", "png"])
def test_world_files_and_aux_files_of_pictures(rgb, tmp_path, driver):
    path = tmp_path / f"photo.{driver}"
    Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1))).save(path)
    assert not is_scene(str(path))
    path.with_suffix(".wld").write_text("0.3\n0\n0\n-0.3\n500000.15\n2999999.85\n")
    assert is_scene(str(path))
    assert same(placement(str(path), "EPSG:32645").georeference, NORTH_UP)
    path.with_suffix(".wld").unlink()
    transform = ", ".join(map(str, NORTH_UP.to_gdal()))
    aux = f"<PAMDataset><SRS>{UTM.to_wkt()}</SRS><GeoTransform>{transform}</GeoTransform></PAMDataset>"
    path.with_name(f"{path.name}.aux.xml").write_text(aux)
    assert same(placement(str(path)).georeference, NORTH_UP)


def test_a_prj_beside_a_world_file_names_the_code(world):
    path = world(NORTH_UP)
    Path(path).with_suffix(".prj").write_text(UTM.to_wkt(version="WKT1_ESRI"))
    assert "set crs=EPSG:32645, or write it" in placement(path).warning


@pytest.mark.parametrize(
    "affine", [Affine(1, 0, 0, 0, -1, 37), Affine(1, 0, 0, 0, -1, 0), Affine(1, 0, -0.5, 0, 1, -0.5)]
)
def test_corners_that_count_pixels_are_none(world, affine):
    path = world(affine)
    assert placement(path).warning == ""
    assert not is_scene(path)


def test_corners_that_are_no_numbers_are_told(world):
    found = placement(world(Affine(np.nan, 0, 1, 0, np.nan, 1)))
    assert (found.georeference, found.gsd) == (None, None)
    assert "has corners that give its pixels no size" in found.warning


def test_a_position_of_pixel_middles_is_the_same_place(geotiff, rgb):
    path = geotiff(rgb, transform=NORTH_UP, crs=UTM)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    assert same(placement(path).georeference, NORTH_UP)


@pytest.mark.parametrize(
    ("affine", "crs"), [(NORTH_UP, UTM), (TURNED, UTM), (DEGREES, WGS84)], ids=["north up", "turned", "degrees"]
)
def test_ground_control_points_on_an_affine_map_place_a_raster(points, affine, crs):
    found = placement(points(affine, crs))
    assert same(found.georeference, affine, crs.to_string())
    assert found.warning == ""


def test_ground_control_points_without_a_reference_system_are_completed_by_one(points):
    path = points(NORTH_UP, None)
    assert is_scene(path)
    assert "has ground control points but no reference system; set crs=EPSG:CODE" in placement(path).warning
    assert same(placement(path, "EPSG:32645").georeference, NORTH_UP)


@pytest.mark.parametrize("pixels", [CORNERS[:2], [(0, 0), (10, 10), (30, 30)]], ids=["two", "one line"])
def test_too_few_ground_control_points_are_told(points, pixels):
    assert "too few or on one line" in placement(points(NORTH_UP, UTM, pixels)).warning


def test_half_a_pixel_of_rounding_is_still_straight(points):
    assert placement(points(NORTH_UP, UTM, bend=1.9)).georeference
    bent = placement(points(NORTH_UP, UTM, bend=2.3))
    assert bent.georeference is None
    assert bent.gsd == pytest.approx(0.3, rel=0.1)
    assert "up to 0.6 px off a straight map" in bent.warning


def polynomials(path):
    one = [1.0, *[0.0] * 19]
    shape = {"height_off": 0, "height_scale": 500, "line_den_coeff": one, "samp_den_coeff": one}
    lines = {"line_num_coeff": [0, 0, -1, *[0] * 17], "line_off": 18, "line_scale": 18}
    samples = {"samp_num_coeff": [0, 1, *[0] * 18], "samp_off": 26, "samp_scale": 26}
    with unplaced(), rasterio.open(path, "r+") as dataset:
        place = {"lat_off": 27.1, "lat_scale": 5e-5, "long_off": 87, "long_scale": 7e-5}
        dataset.rpcs = RPC(**shape, **lines, **samples, **place)
    return path


@pytest.mark.skipif(
    not (shutil.which("gdalwarp") and shutil.which("gdal_edit.py")), reason="needs the programs of GDAL"
)
@pytest.mark.parametrize("kind", ["world", "picture", "control points", "bent", "bent, no system", "rpc", "site grid"])
def test_the_command_that_is_told_places_the_raster(kind, world, points, bare, geotiff, rgb, tmp_path):
    paths = {
        "world": lambda: world(NORTH_UP),
        "picture": lambda: str(shutil.move(world(NORTH_UP), tmp_path / "it's.png")),
        "control points": lambda: points(NORTH_UP, None),
        "bent": lambda: points(NORTH_UP, UTM, bend=20),
        "bent, no system": lambda: points(NORTH_UP, None, bend=20),
        "rpc": lambda: polynomials(bare()),
        "site grid": lambda: geotiff(rgb, crs='LOCAL_CS["site grid",UNIT["metre",1]]', transform=NORTH_UP),
    }
    path = paths[kind]()
    if kind == "picture":
        Image.fromarray(np.moveaxis(rgb, 0, -1)).save(path)
        (tmp_path / "scene.tfw").rename(tmp_path / "it's.pgw")
    if kind == "site grid":
        with pytest.raises(SourceError) as error, open_scene(path) as scene:
            _ = scene.gsd
        command = "gdal_edit.py -a_srs EPSG:CODE FILE"
        assert command in str(error.value)
        command = command.replace("FILE", path)
    else:
        assert is_scene(path)
        command = placement(path).warning.partition(": ")[2]
    words = shlex.split(command.replace("EPSG:CODE", "EPSG:32645"))
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    mended = tmp_path / "OUT.tif" if "OUT.tif" in words else Path(path)
    found = placement(str(mended)).georeference
    assert found.name == "EPSG:32645"
    (middle,) = found.to_lonlat(np.array([(26.5, 18.5)]))
    assert middle == pytest.approx((87, 27.1), abs=0.03)


def test_a_reference_system_that_does_not_fit_is_refused(world):
    path = world(NORTH_UP)
    with pytest.raises(SourceError, match=r"crs=EPSG:4326 does not fit its corners: .* no degrees; name a system in m"):
        placement(path, "EPSG:4326")
    with pytest.raises(SourceError, match=r"latitude 15\.43, far from the area of RGF93.*; name the right one"):
        placement(path, "EPSG:2154")
    with pytest.raises(SourceError, match=r"its pixels are 2\.7e-06 wide, which are degrees; name a system in degrees"):
        placement(world(DEGREES), "EPSG:32645")
    assert same(placement(path, "EPSG:4326").georeference, DEGREES, "EPSG:4326")


@pytest.mark.parametrize("code", ["EPSG:32644", "EPSG:32646", "EPSG:3857"])
def test_a_neighbouring_zone_and_a_web_map_fit(world, code):
    assert placement(world(NORTH_UP), code).georeference.name == code


def test_a_file_with_a_reference_system_keeps_it(geotiff, rgb):
    path = geotiff(rgb)
    kept = placement(path, "EPSG:3857")
    assert kept.georeference.name == "EPSG:32645"
    assert "keeps its own reference system, EPSG:32645, since crs=EPSG:3857 is for files without one" in kept.warning
    assert placement(path, "EPSG:32645").warning == ""


def test_a_reference_system_replaces_one_of_no_place_on_the_earth(geotiff, rgb):
    path = geotiff(rgb, crs='LOCAL_CS["site grid",UNIT["metre",1]]', transform=NORTH_UP)
    assert same(placement(path, "EPSG:32645").georeference, NORTH_UP)


def test_a_reference_system_for_what_has_no_corners_is_refused(bare):
    with pytest.raises(SourceError, match="crs=EPSG:32645 cannot place it: it has no corners on a map; leave crs out"):
        placement(bare(), "EPSG:32645")
    with pytest.raises(SourceError, match="it has a reference system but no corners; give it them: gdal_translate"):
        placement(bare(crs=UTM), "EPSG:32645")
    with pytest.raises(SourceError, match="gdalwarp -rpc -t_srs EPSG:32645 -r cubic"):
        placement(polynomials(bare()), "EPSG:32645")


@pytest.mark.parametrize(
    ("name", "world"),
    [("a.jpg", ".jgw"), ("a.jpeg", ".jgw"), ("a.jpg", ".wld"), ("a.png", ".pgw"), ("a.png", ".wld"), ("a.tif", ".tfw")],
)
def test_world_files_of_every_kind_give_the_corners(tmp_path, rgb, name, world):
    path = tmp_path / name
    Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1))).save(path)
    (x, y), step = NORTH_UP * (0.5, 0.5), NORTH_UP.a
    path.with_suffix(world).write_text(f"{step}\n0\n0\n{-step}\n{x}\n{y}\n")
    assert is_scene(str(path))
    assert placement(str(path)).gsd == pytest.approx(0.3, rel=1e-6)
    assert same(placement(str(path), "EPSG:32645").georeference, NORTH_UP)


def test_a_raster_that_tells_nothing_is_placed_by_the_name_of_a_tile(tmp_path, rgb):
    path = tmp_path / "18_193343_110117.png"
    Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)[:32, :32])).save(path)
    assert placement(str(path)).georeference.name == "EPSG:3857"
    assert not is_scene(str(path))  # small: still read as a picture
