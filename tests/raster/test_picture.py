"""A mask comes back as it went in, by the PNG readers that others use."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from rooftop.errors import DataError
from rooftop.raster import picture as module
from rooftop.raster.picture import (
    decode_jpeg,
    encode_mask,
    list_pictures,
    read_mask,
    read_picture,
    read_size,
    write_jpeg,
    write_mask,
)

MOST = 10**6


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 20, 3)).astype(np.uint8)).resize((611, 371))
    return Image.fromarray((np.asarray(smooth) * 0.8 + rng.integers(0, 50, (371, 611, 3))).astype(np.uint8))


def saved(image, **settings):
    content = io.BytesIO()
    image.save(content, "JPEG", **settings)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_those_of_pillow(image, mode, subsampling, progressive):
    for quality in (30, 75, 95):
        content = saved(image.convert(mode), quality=quality, subsampling=subsampling, progressive=progressive)
        with Image.open(io.BytesIO(content)) as same:
            np.testing.assert_array_equal(decode_jpeg(content, most=MOST), np.asarray(same.convert("RGB")))


def test_what_is_in_doubt_is_left_to_the_other_decoder(image):
    content = saved(image)
    assert decode_jpeg(content[: len(content) // 2], most=MOST) is None
    assert decode_jpeg(content[:-2], most=MOST) is None
    assert decode_jpeg(content[:30], most=MOST) is None
    assert decode_jpeg(content, most=371 * 611 - 1) is None
    assert decode_jpeg(saved(image.convert("CMYK")), most=MOST) is None
    assert decode_jpeg(b"\xff\xd8\xff" + bytes(100), most=MOST) is None
    assert decode_jpeg(b"", most=MOST) is None


def test_truncated_and_unusual_files_end_as_before(image, tmp_path):
    path = tmp_path / "a.jpg"
    content = saved(image)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.jpg: truncated or damaged"):
        read_picture(path)
    path.write_bytes(saved(image.convert("CMYK")))
    assert read_picture(path).shape == (371, 611, 3)
    image.save(path, "PNG")
    np.testing.assert_array_equal(read_picture(path), np.asarray(image))


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 70)), elements=st.integers(0, 1)))
def test_every_reader_sees_the_same(mask):
    text = encode_mask(mask)
    image = Image.open(io.BytesIO(text))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), mask * 255)
    assert np.array_equal(cv2.imdecode(np.frombuffer(text, np.uint8), cv2.IMREAD_UNCHANGED), mask * 255)


@pytest.mark.parametrize("order", ["C", "F"])
def test_on_disk(tmp_path, order):
    mask = np.asarray(np.random.default_rng(0).integers(0, 2, (48, 80), np.uint8), order=order)
    write_mask(tmp_path / "new" / "mask.png", mask)
    assert np.array_equal(read_mask(tmp_path / "new" / "mask.png"), mask)


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
    with pytest.raises(DataError, match=r"m\.png: holds the values [\d, ]+; a mask is 0 and 255"):
        read_mask(tmp_path / "m.png")
