"""The Python call gives what the script writes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio import Affine

import rooftop
from rooftop.errors import ConfigError, DataError, RunError, SourceError
from rooftop.raster.picture import read_mask

SMALL = {"window": 64, "overlap": 16, "polygons": {"min_area": 0}}
TYPED = ("window=64", "overlap=16", "polygons.min_area=0")


@pytest.fixture
def picture(tiny) -> Path:
    return sorted((tiny / "images" / "test").iterdir())[0]


@pytest.fixture
def scene(tiny, tmp_path) -> Path:
    """Two pictures of 48 x 80 px above one another, at 0.5 m in UTM 45 north, a corner without data."""
    files = sorted((tiny / "images" / "train").iterdir())[:2]
    values = np.concatenate([np.moveaxis(np.asarray(Image.open(name)), -1, 0) for name in files], axis=1)
    values[:, :20, :30] = 0
    profile = {"count": 3, "height": 96, "width": 80, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32645"}
    path = tmp_path / "scene.tif"
    with rasterio.open(path, "w", transform=Affine(0.5, 0, 4e5, 0, -0.5, 3.06e6), **profile) as dataset:
        dataset.write(values)
    return path


@pytest.fixture
def written(run_script, trained, tmp_path):
    """written(source, *overrides) -> output folder of `predict.py`."""

    def run(source, *overrides) -> Path:
        out = f"hydra.run.dir={tmp_path}/out"
        code, text = run_script("predict", f"run={trained}", f"source={source}", out, *TYPED, *overrides)
        assert code == 0, text
        return tmp_path / "out"

    return run


def geojson(folder: Path) -> list[dict]:
    return json.loads((folder / "roofs.geojson").read_text())["features"]


def test_roofs_of_a_picture_are_those_of_the_script(written, trained, picture):
    folder = written(picture)
    features = rooftop.load(trained).features(picture, **SMALL)
    assert len(features) > 0
    assert json.loads(json.dumps(features)) == geojson(folder)


def test_settings_are_those_of_the_script(written, trained, picture):
    card = json.loads((trained / "card.json").read_text())
    (trained / "card.json").write_text(json.dumps({**card, "gsd": 0.3}))
    folder = written(picture, "polygons=exact", "gsd=0.5", "tta=null", "threshold=0.4")
    settings = {"window": 64, "overlap": 16, "gsd": 0.5, "tta": None, "threshold": np.float64(0.4)}
    model = rooftop.load(trained)
    exact = model.features(picture, polygons="exact", **settings)
    assert len(exact) > 0
    assert json.loads(json.dumps(exact)) == geojson(folder)
    pixels = np.asarray(Image.open(picture))
    found = model.probability(pixels, gsd=0.5, tta=None)
    assert found.shape == pixels.shape[:2]
    assert found.dtype == np.float32
    assert np.array_equal(found >= 0.4, read_mask(folder / "masks" / f"{picture.stem}.png") == 1)
    assert not np.array_equal(found, model.probability(pixels, tta=None)), "gsd scales the input"
    assert not np.array_equal(found, model.probability(pixels, gsd=0.5)), "four views are the default for pictures"


def test_roofs_of_a_scene_are_those_of_the_script(written, trained, scene, tmp_path):
    folder = written(scene)
    before = sorted(tmp_path.rglob("*"))
    features = rooftop.load(str(trained)).features(str(scene), progress=False, **SMALL)
    assert len(features) > 0
    assert json.loads(json.dumps(features)) == geojson(folder)
    assert sorted(tmp_path.rglob("*")) == before, "a call leaves no file"


def test_a_frame_has_the_rows_of_the_geopackage(written, trained, scene):
    pytest.importorskip("geopandas", reason="pip install -e '.[geopandas]'")
    folder = written(scene)
    frame = rooftop.load(trained).predict(scene, progress=False, **SMALL)
    info, _, geometry, columns = pyogrio.raw.read(folder / "roofs.gpkg", layer="roofs")
    assert frame.crs.to_epsg() == 32645
    assert [shapely.from_wkb(each) for each in geometry] == list(frame.geometry)
    assert len(frame) > 0
    for name, values in zip(info["fields"], columns, strict=True):
        assert list(frame[name]) == list(values)
    empty = rooftop.load(trained).predict(scene, progress=False, threshold=0.999)
    assert len(empty) == 0
    assert list(empty.columns) == list(frame.columns)


def test_without_geopandas_there_is_a_list_of_features(trained, picture, monkeypatch):
    monkeypatch.setattr("rooftop.inference.model.has_geopandas", lambda: False)
    model = rooftop.load(trained)
    assert model.predict(picture, **SMALL) == model.features(picture, **SMALL)


def test_a_picture_in_memory_is_one_of_a_file(trained, picture):
    model, pixels = rooftop.load(trained), np.asarray(Image.open(picture))
    assert model.features(pixels, **SMALL) == model.features(picture, **SMALL)
    grey = pixels[..., 0]
    assert np.array_equal(model.probability(grey), model.probability(np.stack([grey] * 3, axis=-1)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"treshold": 0.4}, "treshold is no setting of this call; settings are "),
        ({"polygons": {"angel": 3}}, "unknown configuration key polygons.angel: did you mean polygons.angle"),
        ({"polygons": "sqare"}, "no such choice polygons=sqare: did you mean polygons=square"),
        ({"threshold": 2}, "threshold=2.0: must be above 0 and below 1"),
        ({"tta": "spin"}, "tta=spin: choose auto"),
    ],
)
def test_wrong_settings_are_one_sentence(trained, picture, settings, message):
    with pytest.raises(ConfigError, match=message):
        rooftop.load(trained).predict(picture, **settings)


def test_wrong_pictures_are_one_sentence(trained, tiny, tmp_path):
    with pytest.raises(RunError, match="is no folder"):
        rooftop.load(tmp_path / "none")
    model = rooftop.load(trained)
    with pytest.raises(SourceError, match="no such picture"):
        model.predict("nowhere.tif")
    with pytest.raises(SourceError, match="are 5 pictures; predict each of them in a loop"):
        model.predict(tiny / "images" / "test")
    with pytest.raises(DataError, match=r"expected shape \(height, width, 3\), got \(8, 9, 4\)"):
        model.probability(np.zeros((8, 9, 4), np.uint8))
    with pytest.raises(DataError, match="expected uint8 from 0 to 255, got float64"):
        model.probability(np.zeros((8, 9, 3)))


def test_the_hydra_of_the_caller_is_left_alone(trained, picture, tmp_path):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        own = GlobalHydra.instance().hydra
        rooftop.load(trained).features(picture)
        assert GlobalHydra.instance().hydra is own


def test_the_included_weights_are_the_default():
    assert rooftop.load(device="cpu").card.gsd == pytest.approx(0.3)


def test_the_import_is_fast():
    code = "import rooftop, sys; sys.exit(bool({'torch', 'hydra', 'numpy', 'rasterio'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
