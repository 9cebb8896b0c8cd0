import numpy as np
import pytest
from PIL import Image

from rooftop.errors import DataError
from rooftop.raster import picture as module
from rooftop.raster.picture import list_pictures, read_mask, read_picture, read_size, write_jpeg, write_mask


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 255, (48, 80, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_picture_round_trip(tmp_path, photo, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(photo).save(path)
    assert read_size(path) == (48, 80)
    np.testing.assert_array_equal(read_picture(path), photo)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK", "LA"])
def test_every_mode_becomes_rgb(tmp_path, photo, mode):
    path = tmp_path / "a.tif" if mode == "CMYK" else tmp_path / "a.png"
    Image.fromarray(photo).convert(mode).save(path)
    assert read_picture(path).shape == (48, 80, 3)


def test_mask_round_trip_and_its_file_is_8_bit_with_255(tmp_path):
    mask = (np.random.default_rng(0).random((48, 80)) > 0.5).astype(np.uint8)
    write_mask(tmp_path / "m.png", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "L"
        assert set(np.unique(np.asarray(image))) == {0, 255}


@pytest.mark.parametrize("top", [1, 255])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_masks_of_0_and_1_and_of_0_and_255_mean_the_same(tmp_path, top, mode):
    mask = np.zeros((48, 80), np.uint8)
    mask[5:20, 7:60] = 1
    image = Image.fromarray(mask * top)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 255, 255])
    (image if mode in ("L", "P") else image.convert(mode)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_palette_of_greys_counts_by_its_greys_and_classes_by_their_numbers(tmp_path):
    mask = np.zeros((48, 80), np.uint8)
    mask[5:20, 7:60] = 1
    for name, values, palette in (
        ("white first", 1 - mask, [255, 255, 255, 0, 0, 0]),
        ("black first", mask, [0, 0, 0, 255, 255, 255]),
        ("classes", mask, [0, 0, 0, 128, 0, 0]),
    ):
        image = Image.fromarray(values)
        image.putpalette(palette)
        image.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), mask, name)


def test_truncated_jpg_is_named(tmp_path, photo):
    path = tmp_path / "half.jpg"
    Image.fromarray(photo).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"half\.jpg: truncated or damaged .*; replace or remove it"):
        read_picture(path)


def test_no_picture_and_no_file_are_named(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: not a picture"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"b\.png: no such file"):
        read_size(tmp_path / "b.png")


def test_size_is_bounded_before_decoding(tmp_path, photo, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(photo).save(path)
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 80 - 1)
    with pytest.raises(DataError, match=r"a\.png: 80 x 48 px is more than"):
        read_picture(path)


def test_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match="no picture"):
        list_pictures(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        list_pictures(tmp_path / "nowhere")


def test_a_jpeg_keeps_its_picture_and_quality_its_worth(tmp_path):
    smooth = np.add.outer(np.arange(48), np.arange(80)).astype(np.uint8)[..., None].repeat(3, axis=2)
    for quality in (30, 95):
        write_jpeg(tmp_path / f"{quality}.jpg", smooth, quality=quality)
    assert np.abs(read_picture(tmp_path / "95.jpg").astype(int) - smooth).max() < 6
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size


@pytest.mark.parametrize("values", [[0, 2], [0, 76], [0, 1, 5], [3, 3]])
def test_a_mask_of_values_that_are_neither_ground_nor_roof_is_refused(tmp_path, values):
    """As label maps of several classes, or roofs painted red: they were read as ground without a word."""
    Image.fromarray(np.array([values], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=rf"m\.png: holds values from {values[0]} to {values[-1]}; a mask is 0 and 255"):
        read_mask(tmp_path / "m.png")
