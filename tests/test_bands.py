"""Pictures of four bands and 16 bits on the whole way: train, evaluate, predict."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from rasterio import Affine

from rooftop.data import RoofDataModule
from rooftop.inference import Predictor
from rooftop.raster.picture import read_mask
from rooftop.raster.reading import BandReading
from rooftop.run import load

PLACE = {"crs": "EPSG:32645", "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_060_000)}


def four_bands(pixels: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) as uint16 (4, H, W): 257 times the colours, and an infrared that is bright where green is."""
    infrared = pixels[..., 1].astype(np.uint16) * 200 + pixels[..., 0]
    return np.stack([*np.moveaxis(pixels.astype(np.uint16) * 257, -1, 0), infrared])


def write(path: Path, values: np.ndarray, **profile) -> None:
    count, height, width = values.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", photometric="minisblack", **{**PLACE, **shape, **profile}) as file:
        file.write(values)


@pytest.fixture
def banded(tiny):
    """The tiny data set as GeoTIFFs of four bands and 16 bits; the first training picture has a corner without data."""
    for split in ("train", "test"):
        for number, path in enumerate(sorted((tiny / "images" / split).iterdir())):
            values = four_bands(np.asarray(Image.open(path)))
            if split == "train" and number == 0:
                values[:, :10, :20] = 0
            write(path.with_suffix(".tif"), values, nodata=0)
            path.unlink()
        annotations = tiny / "annotations" / f"{split}.json"
        annotations.write_text(annotations.read_text().replace(".png", ".tif"))
    return tiny


@pytest.fixture
def train(run_script, banded, fast, tmp_path):
    """train(*overrides, out=name) -> (exit code, text): two epochs on the four bands."""

    def run(*overrides, out="four"):
        common = ("data=banepa", f"data.root={banded}", "data.bands=[1,2,3,4]", "data.mean=null", "data.std=null")
        return run_script(
            "train", *fast, *common, "trainer.max_epochs=2", f"hydra.run.dir={tmp_path / out}", *overrides
        )

    return run


def compose_data(root: Path, folder: Path) -> dict:
    """The data group of Banepa for another root."""
    with initialize_config_dir(str(Path(__file__).parents[1] / "conf"), version_base="1.3"):
        cfg = compose("train", [f"data.root={root}", "data.mean=null", "data.std=null"])
    config = OmegaConf.to_container(cfg.data)
    return {**config, "cache": str(folder / "index"), "workers": 0, "window": None}


def data_config(folder: Path) -> dict:
    return yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())["data"]


@pytest.mark.slow
def test_four_bands_of_16_bits_on_the_whole_way(train, run_script, banded, tmp_path):
    code, text = train()
    assert code == 0, text
    run = load(tmp_path / "four")
    assert run.card.network["in_channels"] == 4
    preparation = run.card.preparation
    assert preparation["bands"] == [1, 2, 3, 4]
    assert [len(preparation[key]) for key in ("mean", "std", "scale")] == [4, 4, 4]
    assert all(0 < low < high < 65536 for low, high in preparation["scale"])

    # validation sees what prediction sees: logits of the loader, of a tile file, of a window of a scene
    data = RoofDataModule({**data_config(tmp_path / "four"), **preparation})
    predictor = Predictor(run)
    batch = next(iter(data.test_dataloader()))
    with torch.inference_mode():
        expected = run.network(data.on_after_batch_transfer(batch, 0)["image"]).sigmoid().numpy()
    dataset = data.dataset("test")
    paths = [dataset.source.path(int(i)) for i in batch["index"]]
    for probability, path in zip(expected, paths, strict=True):
        picture = BandReading((1, 2, 3, 4), tuple(map(tuple, preparation["scale"]))).picture(path)
        np.testing.assert_allclose(predictor.probability(picture), probability, atol=1e-5)
    folder = ("polygons=exact", "polygons.min_area=0", f"hydra.run.dir={tmp_path / 'out'}")
    code, text = run_script("predict", f"run={tmp_path / 'four'}", f"source={paths[0]}", *folder)
    assert code == 0, text
    mask = read_mask(tmp_path / "out" / "masks" / f"{paths[0].stem}.png")
    assert (mask != (expected[0, 0] >= run.card.threshold)).mean() < 1e-3  # stored in steps of half a percent

    # the score of the training is the score of the evaluation
    code, text = run_script(
        "evaluate", f"run={tmp_path / 'four'}", f"data.root={banded}", f"hydra.run.dir={tmp_path / 'scored'}"
    )
    assert code == 0, text
    first, second = (json.loads((tmp_path / name / "scores.json").read_text()) for name in ("four", "scored"))
    assert second["pixel"]["iou"] == pytest.approx(first["pixel"]["iou"], abs=1e-6)


def test_pixels_without_data_are_not_judged(banded, tmp_path):
    config = {**compose_data(banded, tmp_path), "bands": [4, 3], "mean": [0.5], "std": [0.5]}
    data = RoofDataModule(config)
    source = data.dataset("train").source
    valid = source.truth(source.names.index("18_0_0.tif"))[1]
    assert not valid[:10, :20].any()
    assert valid.sum() == valid.size - 200
    picture = source.picture(source.names.index("18_0_0.tif"))
    assert picture.shape == (48, 80, 2)
    assert not picture[:10, :20].any()


@pytest.mark.slow
def test_other_bands_of_another_file(train, run_script, banded, tmp_path):
    """A file with the bands in another order is predicted alike, once it is said where they are."""
    assert train("data.bands=[4,2,1]")[0] == 0
    path = sorted((banded / "images" / "test").iterdir())[0]
    with rasterio.open(path) as file:
        values = file.read()
    write(tmp_path / "turned.tif", values[::-1], nodata=0)
    masks = []
    for name, source, more in (("a", path, ()), ("b", tmp_path / "turned.tif", ("bands=[1,3,4]",))):
        folder = f"hydra.run.dir={tmp_path / name}"
        code, text = run_script("predict", f"run={tmp_path / 'four'}", f"source={source}", folder, *more)
        assert code == 0, text
        masks.append(read_mask(next((tmp_path / name / "masks").iterdir())))
    assert np.array_equal(*masks)
    write(tmp_path / "dark.tif", values // 200, nodata=0)
    code, text = run_script("predict", f"run={tmp_path / 'four'}", f"source={tmp_path}/dark.tif")
    assert code == 0, text
    assert "100 % of the values of channel 1 are cut off at 0 or 255" in text
    for override, said in (
        ("bands=[1,2]", "bands=[1, 2] names 2 bands, but the run needs 3 (4, 2, 1 of its training pictures)"),
        ("bands=[1,2,9]", "bands=[1, 2, 9] must be among its bands 1 to 4"),
    ):
        code, text = run_script("predict", f"run={tmp_path / 'four'}", f"source={path}", override)
        assert code == 2
        assert said in text
        assert len(text.strip().splitlines()) == 1
    code, text = run_script("evaluate", f"run={tmp_path / 'four'}", f"data.root={banded}", "data.bands=[1,2]")
    assert code == 2
    assert "data.bands=[1, 2] names 2 bands, but the run" in text


@pytest.mark.parametrize("bands", ["[2]", "[1,4]"])
def test_one_and_two_bands(train, bands):
    code, text = train(f"data.bands={bands}", "trainer.max_epochs=1", "augmentation=bands")
    assert code == 0, text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.bands=[5]"], "bands=[5] must be among its bands 1 to 4"),
        (["data.bands=[0]"], "must name one band or more, counted from 1"),
        (["data.bands=null"], "has more than 8 bits; name the bands to read, e.g. data.bands=[1,2,3]"),
        (["data.mean=[0.5,0.5]"], "data.mean has 2 values, but pictures have 4 bands"),
        (["data.scale=[[5,5]]"], "data.scale: [5, 5] must be two values, the lower one first"),
        (["data.scale=[0,1,2,3]"], "data.scale: 0 must be two values"),
        (["data.scale=[[0,9],[0,9]]"], "data.scale has 2 values"),
        (["data.percentiles=[2]"], "data.percentiles=[2.0] must be two of 0 to 100"),
        (["model.in_channels=3"], "model.in_channels=3, but pictures have 4 bands"),
        (["augmentation=aerial"], "augmentation.colour: ColorJitter works on colours, not on 4 bands"),
    ],
)
def test_wrong_bands_are_one_sentence(train, overrides, said):
    code, text = train(*overrides)
    assert code == 2
    *_, last = text.strip().splitlines()
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in text


def test_a_file_that_lacks_a_band_is_named(train, banded):
    odd = sorted((banded / "images" / "train").iterdir())[3]
    with rasterio.open(odd) as file:
        values = file.read()
    write(odd, values[:3])
    code, text = train()
    assert code == 2
    assert f"{odd.name}: bands=[1, 2, 3, 4] must be among its bands 1 to 3" in text


@pytest.mark.slow
def test_floats_with_gaps_and_a_band_of_one_value(train, banded, tmp_path):
    for path in (banded / "images").rglob("*.tif"):
        with rasterio.open(path) as file:
            values = file.read().astype(np.float32) / 65535
        values[0, 5, 7] = np.nan
        values[3] = 0.25
        write(path, values)
    code, text = train()
    assert code == 2
    assert "band 4 has the one value 0.25 throughout the training pictures; remove it from data.bands" in text
    code, text = train("data.scale=[[0,1]]", "trainer.max_epochs=1")
    assert code == 0, text
    code, text = train("data.bands=[1,2,3]", "trainer.max_epochs=1", out="three")
    assert code == 0, text
    assert len(load(tmp_path / "three").card.preparation["scale"]) == 3


def test_weights_for_colours_look_at_bands_that_are_scaled(train, trained, run_script, banded, tmp_path):
    """A run on 8-bit RGB is evaluated on 16-bit tiles, once it is told which bands are the colours."""
    code, text = run_script("evaluate", f"run={trained}", f"data.root={banded}")
    assert code == 2
    assert "name the bands to read" in text
    code, text = run_script(
        "evaluate",
        f"run={trained}",
        f"data.root={banded}",
        "data.bands=[1,2,3]",
        "data.scale=[[0,65535]]",
        f"hydra.run.dir={tmp_path / 'scored'}",
    )
    assert code == 0, text
    scores = [json.loads((folder / "scores.json").read_text()) for folder in (trained, tmp_path / "scored")]
    assert scores[1]["pixel"]["iou"] == pytest.approx(scores[0]["pixel"]["iou"], abs=1e-6)


def test_an_audit_of_bands_measures_them_and_names_what_is_broken(run_script, banded, tmp_path):
    what = ("data=banepa", f"data.root={banded}", f"hydra.run.dir={tmp_path / 'audit'}")
    code, text = run_script("check_data", *what, "data.bands=[4,1]")
    assert code == 0, text
    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    assert report["bands"] == [4, 1]
    assert len(report["scale"]) == len(report["splits"]["train"]["mean"]) == len(report["splits"]["test"]["std"]) == 2
    data = RoofDataModule({**compose_data(banded, tmp_path), "bands": [4, 1]})
    np.testing.assert_allclose(report["splits"]["train"]["mean"], data.preparation.mean, atol=0.03)
    odd = sorted((banded / "images" / "train").iterdir())[3]
    with rasterio.open(odd) as file:
        values = file.read()
    write(odd, values[:3])
    code, text = run_script("check_data", *what, "data.bands=[4,1]")
    assert code == 1, text
    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    (found,) = report["splits"]["train"]["findings"]["unreadable picture"]["listed"]
    assert found["picture"] == odd.name
    assert "must be among its bands 1 to 3" in found["detail"]
    code, text = run_script("check_data", *what)
    assert code == 1
    assert "unreadable picture" in text
