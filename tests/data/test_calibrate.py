import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rooftop.data import RoofDataModule, layout
from rooftop.data.calibrate import calibrated
from rooftop.errors import ConfigError, DataError
from rooftop.raster.picture import write_mask

SPLITS = {"train": {"images": "images", "annotations": None, "masks": "masks"}, "val": None, "test": None}
SOURCE = {"name": "made", "mix": None, "val_share": 0.2, "place": None, "categories": None, "masks": None}
OPEN = {**SOURCE, "targets": ["roof"], "gaps": False}


@pytest.fixture
def config(tmp_path):
    """config(values of pictures (C, H, W), key=value) -> the data group."""

    def make(pictures, **keys):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number, values in enumerate(pictures):
            count, height, width = values.shape
            shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
            with rasterio.open(
                tmp_path / "images" / f"{number}.tif", "w", driver="GTiff", transform=Affine.scale(2), **shape
            ) as file:
                file.write(values)
            write_mask(tmp_path / "masks" / f"{number}.png", np.ones((height, width), np.uint8))
        values = {"bands": None, "scale": None, "percentiles": [0, 100], "mean": None, "std": None}
        return {**OPEN, **SPLITS, "root": str(tmp_path), "cache": str(tmp_path / "i"), **values, **keys}

    return make


@pytest.fixture
def pictures():
    """Five of uint16 (2, 40, 60) with values of 0 to 999 and of 2000 to 9999."""
    rng = np.random.default_rng(0)
    return [
        np.stack([rng.integers(0, 1000, (40, 60)), rng.integers(2000, 10000, (40, 60))]).astype(np.uint16)
        for _ in range(5)
    ]


def test_scale_mean_and_spread_are_those_of_the_training_pictures(config, pictures):
    found = calibrated(config(pictures, bands=[2, 1]))
    np.testing.assert_allclose(found["scale"], [[2000, 9999], [0, 999]], atol=20)
    np.testing.assert_allclose(found["mean"], [0.5, 0.5], atol=0.02)
    np.testing.assert_allclose(found["std"], [12**-0.5] * 2, atol=0.02)
    assert calibrated(found) == found


def test_percentiles_cut_off(config, pictures):
    ((low, high),) = calibrated(config(pictures, bands=[1], percentiles=[10, 90]))["scale"]
    assert low == pytest.approx(100, abs=20)
    assert high == pytest.approx(900, abs=20)


def test_8_bit_bands_stay_as_they_are(config, pictures):
    found = calibrated(config([picture.astype(np.uint8) for picture in pictures], bands=[1, 2]))
    assert found["scale"] == [[0.0, 255.0]] * 2


def test_what_is_given_stays_and_one_value_serves_all(config, pictures):
    found = calibrated(config(pictures, bands=[1, 2], scale=[[0, 5000]], mean=[0.4]))
    assert found["scale"] == [[0, 5000]] * 2
    assert found["mean"] == [0.4, 0.4]
    assert found["std"][0] == pytest.approx(0.2 * 12**-0.5, abs=0.01)


def test_nothing_is_read_where_all_is_known(config):
    plain = config([], mean=[0.1, 0.2, 0.3], std=[1])
    assert calibrated(plain) == {**plain, "std": [1, 1, 1]}


def test_colours_can_be_measured_too(config, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 60), dtype=np.uint8)
    pixels[2] = 51
    plain = config([pixels] * 3)
    found = calibrated(plain)
    np.testing.assert_allclose(found["mean"], [0.5, 0.5, 0.2], atol=0.02)
    assert found["std"][2] == pytest.approx(1 / 255, abs=1e-4)
    assert found["scale"] is None
    assert np.asarray(Image.open(tmp_path / "images" / "0.tif")).shape == (40, 60, 3)


def test_a_band_that_is_nearly_always_the_same_is_scaled_by_its_extremes(config, pictures):
    for picture in pictures:
        picture[0] = 7
        picture[0, 0, 0] = 900
    assert calibrated(config(pictures, bands=[1], percentiles=[2, 98]))["scale"] == [[7, 900]]


def test_what_cannot_be_measured_is_one_sentence(config, pictures):
    flat = [picture * 0 + 3 for picture in pictures]
    with pytest.raises(DataError, match="band 2 has the one value 3 throughout the training pictures"):
        calibrated(config(flat, bands=[2]))
    with pytest.raises(DataError, match="no training picture has a pixel with data"):
        calibrated(config([picture.astype(np.float32) * np.nan for picture in pictures], bands=[1]))
    with pytest.raises(ConfigError, match="data.percentiles"):
        calibrated(config(pictures, bands=[1], percentiles=[-1, 200]))


@pytest.mark.parametrize("splits", [SPLITS, {**SPLITS, "val": SPLITS["train"], "test": SPLITS["train"]}])
def test_the_data_module_opens_the_training_split_once(config, pictures, splits, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "rooftop.data.datamodule.open_split", lambda *how: opened.append(how[1]) or layout.open_split(*how)
    )
    monkeypatch.setattr("rooftop.data.calibrate.open_split", None)
    keys = {"gsd": None, "size": None, "window": None, "draws": None, "batch_size": 2, "workers": 0, **splits}
    data = RoofDataModule(config(pictures, bands=[2, 1], **keys))
    source = data.dataset("train").source
    data.dataset("val")
    assert opened == ["train", "val"]
    assert source.picture(0).shape == (40, 60, 2)  # read by the measured scale
    assert source.picture(0).max() > 250
