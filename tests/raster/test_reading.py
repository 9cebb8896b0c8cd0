import pickle
from pathlib import Path

import numpy as np
import pytest

from rooftop.errors import DataError
from rooftop.raster.bands import Stretch, as_rgb
from rooftop.raster.reading import BandReading, PlainReading, read_sample, read_shown
from rooftop.raster.scene import open_bands, open_scene
from rooftop.raster.windows import Window

PART = Window(column=11, row=5, width=20, height=13)
SCALE = ((0.0, 1000.0), (100.0, 300.0), (0.0, 65535.0), (0.0, 1.0))


@pytest.fixture
def values():
    """uint16 (4, 37, 53)."""
    return np.random.default_rng(0).integers(1, 65536, (4, 37, 53), dtype=np.uint16)


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 32}])
def test_values_come_as_they_are(geotiff, values, layout):
    with open_bands(geotiff(values, **layout), [4, 2]) as scene:
        assert scene.kinds == {np.dtype(np.uint16)}
        found, known = scene.values(PART)
        assert found.dtype == np.uint16
        assert np.array_equal(found, values[[3, 1]][(slice(None), *PART.slices)])
        assert known.all()
        assert scene.thinned(20)[0].shape == (2, 14, 20)


def test_a_file_and_a_window_of_a_scene_give_the_same_picture(geotiff, values):
    values[:, 7, 9] = 0
    reading = BandReading((2, 1, 4, 3), SCALE)
    path = Path(geotiff(values, nodata=0))
    picture, valid = reading.picture(path), reading.valid(path)
    assert picture.shape == (37, 53, 4)
    assert reading.size(path) == (37, 53)
    assert picture[3, 5, 0] == np.rint(255 * min(values[1, 3, 5] / 1000, 1))
    assert not valid[7, 9]
    assert not picture[7, 9].any()
    assert valid.sum() == valid.size - 1
    with open_bands(str(path), reading.bands, reading.stretch) as scene:
        window, known = scene.read(PART)
    assert np.array_equal(window, picture[PART.slices])
    assert np.array_equal(known, valid[PART.slices])


def test_a_picture_belongs_to_whoever_asked_for_it(geotiff, values):
    reading, path = BandReading((1,), SCALE[:1]), Path(geotiff(values))
    reading.picture(path)[:] = 0
    assert reading.picture(path).any()


def test_a_reading_goes_to_another_process(geotiff, values):
    reading, path = BandReading((1, 2), SCALE[:2]), Path(geotiff(values))
    there = reading.picture(path)
    assert np.array_equal(pickle.loads(pickle.dumps(reading)).picture(path), there)


def test_8_bit_bands_and_plain_pictures_are_the_same(geotiff, rgb):
    path = Path(geotiff(rgb))
    bands = BandReading((1, 2, 3), ((0.0, 255.0),) * 3)
    assert np.array_equal(bands.picture(path), PlainReading().picture(path))
    with open_scene(str(path)) as scene:
        assert np.array_equal(scene.read(Window(0, 0, 53, 37))[0], bands.picture(path))
    assert PlainReading().valid(path) is None


def test_a_band_of_one_value_and_what_lies_beyond_the_scale(geotiff):
    path = Path(geotiff(np.array([[[5, 5, 6, 4]], [[-9, 0, 3, 99]]], np.int16)))
    picture = BandReading((1, 2), ((5.0, 5.0), (0.0, 6.0))).picture(path)
    assert picture[0].tolist() == [[0, 0], [0, 0], [255, 128], [0, 255]]


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_what_is_looked_up_is_what_would_be_computed(kind):
    values = np.arange(256 if kind == "uint8" else 65536).reshape(1, -1, 8).repeat(4, axis=0)
    stretch = Stretch.of(SCALE)
    found, valid = stretch(values.astype(kind))
    assert np.array_equal(found, stretch(values)[0])
    assert valid.all()
    assert valid.shape == values.shape[1:]


def test_samples_leave_out_what_is_no_data(geotiff, values):
    numbers = values.astype(np.float32)
    numbers[2, 5, 6] = np.nan
    found, is_8_bit = read_sample(Path(geotiff(numbers)), [3], 1000)
    assert found.shape == (1, 37 * 53 - 1)
    assert not is_8_bit


def test_wrong_files_are_named(geotiff, values, tmp_path):
    path = Path(geotiff(values))
    with pytest.raises(DataError, match=r"scene\.tif: bands=\[1, 5\] must be among its bands 1 to 4"):
        BandReading((1, 5), SCALE[:2]).picture(path)
    with pytest.raises(DataError, match=r"none\.tif: no such file"):
        BandReading((1,), SCALE[:1]).size(tmp_path / "none.tif")
    with pytest.raises(DataError, match=r"scene\.tif: has more than 8 bits; name the bands to read, .*=\[1,2,3\]"):
        PlainReading().picture(path)
    with pytest.raises(DataError, match=r"scene\.tif: has more than 8 bits; name the bands"):
        PlainReading().picture(Path(geotiff(values[:1])))
    with pytest.raises(DataError, match="complex numbers"):
        BandReading((1,), SCALE[:1]).picture(Path(geotiff(values.astype(np.complex64))))


def test_too_many_pixels_are_refused_before_they_are_decoded(geotiff, values, monkeypatch):
    monkeypatch.setattr("rooftop.raster.reading.MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="53 x 37 px is more than 1,000 px"):
        BandReading((1,), SCALE[:1]).picture(Path(geotiff(values)))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_people_are_shown_three_bands(channels):
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, channels), dtype=np.uint8)
    shown = as_rgb(picture)
    assert shown.shape == (4, 6, 3)
    assert np.array_equal(shown[..., 0], picture[..., 0])


def test_people_are_shown_any_file(geotiff, values, rgb, tmp_path):
    assert np.array_equal(read_shown(Path(geotiff(rgb))), np.moveaxis(rgb, 0, -1))
    for count in (1, 2, 4):
        assert read_shown(Path(geotiff(values[:count], photometric="minisblack"))).shape == (37, 53, 3)
    (tmp_path / "no.tif").write_bytes(b"no")
    with pytest.raises(DataError, match=r"no\.tif: not a picture"):
        read_shown(tmp_path / "no.tif")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_constant_band_is_stretched_without_a_warning(kind):
    values = np.array([[[6, 7, 8, 65535]]], kind)
    picture, _ = Stretch.of([(7, 7)])(values)
    assert picture.tolist() == [[[0, 0, 255, 255]]]


def test_a_picture_is_the_callers_and_valid_is_known_before_and_after(geotiff, values):
    eight, reading = (values[:3] % 255 + 1).astype(np.uint8), PlainReading()
    eight[:, 4, 6] = 0
    path = Path(geotiff(eight, nodata=0))
    valid = reading.valid(path)
    first, second = reading.picture(path), reading.picture(path)
    first[:] = 0
    assert not valid[4, 6]
    assert (reading.valid(path) == valid).all()
    np.testing.assert_array_equal(second, eight.transpose(1, 2, 0))
