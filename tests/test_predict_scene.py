"""The whole way from GeoTIFF to maps, through the real script."""

import json
import shutil

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image
from pycocotools import mask as coco
from rasterio import Affine
from rasterio.shutil import copy

from rooftop.raster.picture import read_mask
from rooftop.raster.probability import NODATA, STEP

FILES = (
    *("contact_sheet.png", "map.html", "predictions.coco.json", "probability.tif"),
    *("roofs.geojson", "roofs.gpkg", "summary.json", "masks/town.png", "overlays/town.png"),
)
SMALL = ("window=64", "overlap=16", "polygons.min_area=0")


@pytest.fixture
def town(tiny, tmp_path):
    """Ten training pictures of 48 x 80 px side by side: 96 x 400 px at 0.5 m in UTM 45 north, a corner without data."""
    files = sorted((tiny / "images" / "train").iterdir())
    pictures = [np.moveaxis(np.asarray(Image.open(name)), -1, 0) for name in files]
    rows = [np.concatenate(pictures[i::2], axis=2) for i in (0, 1)]
    values = np.concatenate(rows, axis=1)
    values[:, :30, :90] = 0
    profile = {"count": 3, "height": 96, "width": 400, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32645"}
    place = Affine(0.5, 0, 400_000, 0, -0.5, 3_060_000)
    path = tmp_path / "town.tif"
    with rasterio.open(path, "w", driver="GTiff", transform=place, tiled=True, **profile) as dataset:
        dataset.write(values)
    return path


@pytest.fixture
def predict(run_script, trained, tmp_path):
    """predict(source, *overrides, out=name) -> (exit code, text)."""

    def run(source, *overrides, out="out"):
        folder = f"hydra.run.dir={tmp_path / out}"
        return run_script("predict", f"run={trained}", f"source={source}", folder, *SMALL, *overrides)

    return run


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_gives_every_file_and_they_agree(predict, town, tmp_path):
    code, text = predict(town, "polygons=exact", "threshold=0.5")
    assert code == 0, text
    out = tmp_path / "out"
    assert all((out / name).is_file() for name in FILES)
    assert not (out / ".roofs").exists()
    assert not [*(tmp_path / "outputs" / ".unfinished").iterdir()]
    with rasterio.open(out / "probability.tif") as dataset:
        values = dataset.read(1)
        assert dataset.scales == (STEP,)
        assert dataset.crs.to_epsg() == 32645
    assert (values[:30, :90] == NODATA).all()
    mask = read_mask(out / "masks" / "town.png")
    assert np.array_equal(mask, (values >= 100) & (values != NODATA))
    results = json.loads((out / "predictions.coco.json").read_text())
    drawn = coco.decode(coco.merge([result["segmentation"] for result in results]))
    assert np.array_equal(drawn, mask)
    summary = json.loads((out / "summary.json").read_text())
    (row,) = summary["pictures"]
    features = json.loads((out / "roofs.geojson").read_text())["features"]
    info = pyogrio.read_info(out / "roofs.gpkg", layer="roofs")
    assert row["roofs"] == len(results) == len(features) == info["features"] > 0
    assert row["roof_pixels"] == mask.sum()
    assert row["valid_pixels"] == 96 * 400 - 30 * 90
    assert row["roof_m2"] == pytest.approx(mask.sum() / 4, rel=3e-3)
    assert row["metres_per_pixel"] == pytest.approx(0.5, rel=1e-3)
    assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_without_a_place_is_a_picture_and_says_so(predict, town, tmp_path):
    with (
        rasterio.open(town) as source,
        rasterio.open(
            tmp_path / "plain.tif", "w", **{**source.profile, "crs": None, "transform": None, "nodata": None}
        ) as plain,
    ):
        plain.write(source.read())
    code, text = predict(tmp_path / "plain.tif")
    assert code == 0, text
    assert "pixels" in json.loads((tmp_path / "out" / "roofs.geojson").read_text())["frame"]
    assert not (tmp_path / "out" / "roofs.gpkg").exists()
    assert (tmp_path / "out" / "map.html").is_file()


def test_a_folder_of_scenes_and_pictures_names_files_by_source(predict, town, tiny, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    shutil.copy(town, folder / "town.tif")
    copy(town, folder / "view.vrt", driver="VRT")
    shutil.copy(next((tiny / "images" / "test").iterdir()), folder / "photo.png")
    (folder / "broken.tif").write_bytes(b"II*\0 nothing")
    code, text = predict(folder, "tta=flips", "probability=false")
    assert code == 0, text
    assert "broken.tif: cannot be read" in text
    made = {path.name for path in (tmp_path / "out" / "roofs").iterdir()}
    assert made == {"photo.geojson", "town.geojson", "town.gpkg", "view.geojson", "view.gpkg"}
    assert not (tmp_path / "out" / "probability").exists()
    town_values, view_values = (read_mask(tmp_path / "out" / "masks" / f"{name}.png") for name in ("town", "view"))
    assert np.array_equal(town_values, view_values)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["id"] for row in summary["pictures"]] == [1, 2, 3]


def test_squares_to_look_at_first_are_a_layer_and_said(predict, town, tmp_path):
    code, text = predict(town, "check.size=20", "check.count=3")
    assert code == 0, text
    assert "check first: 3 squares, the layer check_first of roofs.gpkg" in text
    out = tmp_path / "out"
    assert pyogrio.read_info(out / "roofs.gpkg", layer="check_first")["features"] == 3
    assert json.loads((out / "summary.json").read_text())["pictures"][0]["check_first"] == 3
    code, text = predict(town, "check=null", out="none")
    assert code == 0, text
    assert "check first" not in text
    assert [name for name, _ in pyogrio.list_layers(tmp_path / "none" / "roofs.gpkg")] == ["roofs", "layer_styles"]


def test_a_stopped_prediction_goes_on_and_gives_the_same_files(predict, town, tmp_path, monkeypatch):
    small = "check.size=20"  # so that squares fit into the town
    assert predict(town, small)[0] == 0
    from rooftop.inference.predictor import Predictor

    forward, left = Predictor.forward, [3]

    def stopped(self, pictures):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return forward(self, pictures)

    monkeypatch.setattr(Predictor, "forward", stopped)
    code, text = predict(town, small, out="again")
    assert code == 130
    assert "run the same command again to continue" in text
    assert not [name for name in FILES if (tmp_path / "again" / name).exists()]
    monkeypatch.setattr(Predictor, "forward", forward)
    assert predict(town, small, out="again")[0] == 0
    assert pyogrio.read_info(tmp_path / "again" / "roofs.gpkg", layer="check_first")["features"] > 1
    for name in FILES:
        if name != "summary.json":
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_wrong_settings_are_one_sentence(predict, town):
    for override, said in (
        ("bands=[1,2,9]", "bands=[1, 2, 9] must be one or three of its bands 1 to 3"),
        ("overlap=40", "overlap=40 must lie between 0 and half of window=64"),
        ("tta=spin", "tta=spin: choose auto, flips, d4, scales, large or null"),
        ("batch=0", "batch=0 must be 1 or more"),
        ("check.size=5", "check.size=5.0: must be from 10 to 1000"),
        ("polygons.angel=3", "polygons.angle"),
    ):
        code, text = predict(town, override)
        assert code == 2
        assert said in text
        assert len(text.strip().splitlines()) == 1


def test_another_ground_sampling_distance_is_scaled_or_told(predict, town, trained, tmp_path):
    card = json.loads((trained / "card.json").read_text())
    (trained / "card.json").write_text(json.dumps({**card, "gsd": 0.25}))
    code, text = predict(town, "rescale=false")
    assert code == 0, text
    assert "roofs look 2.0 times smaller" in text
    code, text = predict(town, out="scaled")
    assert code == 0, text
    assert "scaled by 2.00; rescale=false turns it off" in text
    masks = [read_mask(tmp_path / out / "masks" / "town.png") for out in ("out", "scaled")]
    assert not np.array_equal(*masks)
    rows = [json.loads((tmp_path / out / "summary.json").read_text())["pictures"][0] for out in ("out", "scaled")]
    assert [row["scaled_by"] for row in rows] == [None, pytest.approx(2, abs=0.01)]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_every_kind_of_raster_is_predicted_or_named(predict, town, tmp_path):
    with rasterio.open(town) as dataset:
        values, profile = dataset.read()[:, :70, :90], dataset.profile
    folder = tmp_path / "kinds"
    folder.mkdir()

    def write(name, bands, **changes):
        shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
        with rasterio.open(folder / f"{name}.tif", "w", **{**profile, **shape, "nodata": None, **changes}) as dataset:
            dataset.write(bands)

    write("a_one_pixel", values[:, -1:, -1:])
    write("b_empty", values * 0, nodata=0)
    write("c_16_bit", values.astype(np.uint16) * 40)
    write("d_float", values.astype(np.float32) / 255, nodata=np.nan)
    write("e_grey", values[:1])
    write("f_rotated", values, transform=profile["transform"] * Affine.rotation(30))
    write("g_degrees", values, crs="EPSG:4326", transform=Affine(5e-6, 0, 85.5, 0, -5e-6, 27.6))
    write("h_no_code", values, crs="+proj=tmerc +lat_0=27 +lon_0=85.1 +k=0.9999 +datum=WGS84")
    write("i_antimeridian", values, crs="EPSG:4326", transform=Affine(5e-6, 0, 179.9998, 0, -5e-6, -17))
    write("j_no_place_16_bit", values.astype(np.uint16), crs=None)
    write("k_five_bands", np.concatenate([values, values[:2]]), photometric="minisblack")
    write("l_complex", values.astype(np.complex64))
    write("m_cut_short", np.random.default_rng(0).integers(0, 255, (3, 300, 300), dtype=np.uint8))
    write("n_site_grid", values, crs='LOCAL_CS["site grid",UNIT["metre",1]]')
    write("o_beyond_the_map", values, transform=Affine(0.5, 0, 1e12, 0, -0.5, 1e12))
    (folder / "m_cut_short.tif").write_bytes((folder / "m_cut_short.tif").read_bytes()[:100_000])
    code, text = predict(folder)
    assert code == 0, text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["picture"].split("/")[-1][0] for row in summary["pictures"]] == list("abcdefghij")
    assert [item["picture"].split("/")[-1][0] for item in summary["skipped"]] == list("klmno")
    assert all(item["why"].endswith(".") and "\n" not in item["why"] for item in summary["skipped"])
    rows = {row["picture"].split("/")[-1][0]: row for row in summary["pictures"]}
    assert "gdal_edit.py -a_srs" in summary["skipped"][3]["why"]
    assert rows["b"]["roofs"] == rows["b"]["valid_pixels"] == 0
    assert rows["g"]["metres_per_pixel"] == pytest.approx(0.52, abs=0.03)
    assert rows["j"]["reference_system"] is None
    for name in "abcdefghi":
        (path,) = (tmp_path / "out" / "roofs").glob(f"{name}_*.gpkg")
        assert pyogrio.read_info(path, layer="roofs")["features"] == rows[name]["roofs"]
    for path in (tmp_path / "out" / "roofs").glob("*.geojson"):
        shapes = [shapely.geometry.shape(found["geometry"]) for found in json.loads(path.read_text())["features"]]
        assert all(shape.is_valid for shape in shapes)
        if not path.stem.startswith("j"):
            assert all(shape.bounds[0] >= -180 and shape.bounds[2] <= 180 for shape in shapes)


def test_onnxruntime_writes_the_same_files(predict, town, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install -e '.[export]'")
    for engine in ("torch", "onnxruntime"):
        code, text = predict(town, f"engine={engine}", out=engine)
        assert code == 0, text
    stored = []
    for engine in ("torch", "onnxruntime"):
        with rasterio.open(tmp_path / engine / "probability.tif") as dataset:
            stored.append(dataset.read(1).astype(int))
    assert np.abs(stored[0] - stored[1]).max() <= 1  # of the steps in which probabilities are stored
    masks = [read_mask(tmp_path / engine / "masks" / "town.png") for engine in ("torch", "onnxruntime")]
    assert (masks[0] != masks[1]).mean() < 1e-3


def test_eight_bits_write_the_same_files_and_nearly_the_same_probabilities(predict, town, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="pip install -e '.[export]'")
    monkeypatch.setattr("rooftop.int8.model._LEAST", 0.0)  # the weights of the test are hardly trained
    code, text = predict(town, "engine=int8", out="int8")
    assert code == 0, text
    assert json.loads((tmp_path / "int8" / "summary.json").read_text())["engine"] == "int8"
    code, text = predict(town, "engine=torch", out="torch")
    assert code == 0, text
    probabilities, files = [], []
    for engine in ("torch", "int8"):
        with rasterio.open(tmp_path / engine / "probability.tif") as dataset:
            probabilities.append(dataset.read(1).astype(int))
        found = (path for path in (tmp_path / engine).rglob("*.*") if path.suffix != ".log")
        files.append(sorted(str(path.relative_to(tmp_path / engine)) for path in found))
    assert files[0] == files[1]
    off = np.abs(probabilities[0] - probabilities[1])
    assert 0 < off.mean() < 10  # of 254 steps


def test_unknown_engine_is_one_sentence(predict, town, tmp_path):
    code, text = predict(town, "engine=tensorrt")
    assert code == 2
    assert "engine: Invalid value 'tensorrt', expected one of [torch, onnxruntime, int8]" in text
    assert not (tmp_path / "out").exists()
