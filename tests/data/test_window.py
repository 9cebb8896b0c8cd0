from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rooftop.data.window import Window, resample
from rooftop.raster.picture import list_pictures, read_picture, resize

TILES = list_pictures(Path(__file__).parents[2] / "data" / "banepa" / "images" / "train")


def scene(height=60, width=100):
    """A picture whose red channel is its mask, and green a ramp."""
    mask = np.zeros((height, width), np.uint8)
    mask[10:40, 20:70] = 1
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = mask * 255
    picture[..., 1] = np.arange(width, dtype=np.uint8)
    return picture, mask[None], np.ones((height, width), bool)


@pytest.mark.parametrize("gsd", [(0.5, 0.5), (0.3, 1.0), (2.0, 4.0)])
def test_windows_have_their_size_and_truth_fits_the_picture(gsd):
    window = Window((24, 40), gsd, seed=1)
    for draw in range(20):
        picture, mask, valid = window(*scene(), gsd=0.5, draw=(draw, 0))
        assert picture.shape == (24, 40, 3)
        assert (mask.shape, mask.dtype, valid.shape, valid.dtype) == ((1, 24, 40), np.uint8, (24, 40), bool)
        assert valid.all()
        np.testing.assert_array_equal(picture[..., 0] > 127, mask[0] == 1)


def inside(mask):
    """Pixels whose neighbours are all like them."""
    there = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1, mode="edge"), (3, 3))
    return there.min(axis=(2, 3)) == there.max(axis=(2, 3))


def test_own_distance_copies_pixels_at_most_half_a_pixel_off():
    window = Window((24, 40), (0.5, 0.5), seed=3)
    picture, _, _ = window(*scene(), gsd=0.5, draw=(0, 0))
    assert np.abs(np.diff(picture[..., 1].astype(int), axis=1) - 1).max() <= 1


def as_they_are(window, gsd, draws=200):
    """How many windows are pixels of a noisy picture, each at its place, and not one of them resampled."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    own = {noise[y : y + 24, x : x + 40].tobytes() for y in range(37) for x in range(61)}
    mask, valid = np.zeros((1, 60, 100), np.uint8), np.ones((60, 100), bool)
    return sum(window(noise, mask, valid, gsd=gsd, draw=(0, i))[0].tobytes() in own for i in range(draws))


def test_a_share_of_windows_shows_the_picture_as_sharp_as_it_is():
    assert 40 <= as_they_are(Window((24, 40), (0.3, 1.0), seed=1), gsd=0.5) <= 80


@pytest.mark.parametrize("gsd", [0.2, 1.2])
def test_pixels_beyond_the_range_are_always_resampled(gsd):
    assert as_they_are(Window((24, 40), (0.3, 1.0), seed=1), gsd=gsd) == 0


@pytest.mark.parametrize(("filters", "differ"), [(["bilinear"], False), (["bilinear", "bicubic", "lanczos"], True)])
def test_windows_are_as_sharp_as_their_filters(filters, differ):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    mask, valid = np.zeros((1, 60, 60), np.uint8), np.ones((60, 60), bool)
    window = Window((24, 24), (0.75, 0.75), seed=1, filters=filters)
    spreads = [window(noise, mask, valid, gsd=0.5, draw=(0, i))[0].std() for i in range(60)]
    assert (max(spreads) > 1.2 * min(spreads)) == differ


def test_ground_that_does_not_count_is_cut_with_its_picture():
    picture, mask, _ = scene()
    for draw in range(20):
        cut, _, seen = Window((24, 40), (0.3, 1.0), seed=1)(picture, mask, mask[0] == 0, gsd=0.5, draw=(draw, 0))
        assert not ((cut[..., 0] < 128) != seen)[inside(seen)].any()


def test_small_pictures_are_magnified_rather_than_mirrored_all_over():
    window = Window((64, 64), (0.3, 1.0), seed=1)
    for draw in range(40):
        cut, _, _ = window(*scene(20, 20), gsd=0.5, draw=(draw, 0))
        ramp = np.diff(cut[..., 1].astype(int), axis=1)
        assert np.abs(ramp).mean() < 0.8  # a value a pixel where it is as it is


def test_metres_decide_the_size_of_roofs():
    window = Window((30, 50), (1.0, 1.0), seed=0)
    whole = window(*scene(), gsd=0.5, draw=(0, 0))[1]
    assert abs(int(whole.sum()) - 30 * 50 / 4) < 60  # a roof of 30 x 50 px of 0.5 m, seen at 1 m


def test_equal_draws_repeat_and_others_differ():
    def cut(seed, draw):
        return Window((24, 40), (0.3, 1.0), seed=seed)(*scene(), gsd=0.5, draw=draw)[0]

    np.testing.assert_array_equal(cut(0, (1, 2)), cut(0, (1, 2)))
    assert not np.array_equal(cut(0, (1, 2)), cut(0, (1, 3)))
    assert not np.array_equal(cut(0, (1, 2)), cut(1, (1, 2)))


@pytest.mark.parametrize("bands", [1, 2, 4, 5])
def test_each_band_is_cut_like_a_colour(bands):
    picture, mask, valid = scene()
    many = picture[..., np.arange(bands) % 3]
    window = Window((24, 40), (0.3, 1.0), seed=1)
    for draw in range(5):
        colours, _, _ = window(picture, mask, valid, gsd=0.5, draw=(draw, 0))
        cut, _, _ = window(many, mask, valid, gsd=0.5, draw=(draw, 0))
        np.testing.assert_array_equal(cut, colours[..., np.arange(bands) % 3])


@pytest.mark.parametrize("name", ["box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(90, 70), (210, 230), (150, 100), (40, 300)])
def test_resampled_pixels_are_those_of_pillow(name, size):
    picture = read_picture(TILES[0])[:150, :180]
    for pixels in (picture, picture[..., 1], picture[..., :2]):
        expected = resize(pixels, size, Image.Resampling[name.upper()]).astype(int)
        found = resample(pixels, size, name)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 3
        assert np.abs(found - expected).mean() < 0.4


def test_ground_beyond_the_picture_is_its_mirror_image():
    picture = np.add.outer(np.arange(60), np.arange(100)).astype(np.uint8)[..., None].repeat(3, axis=2)
    mask, valid = np.zeros((1, 60, 100), np.uint8), np.ones((60, 100), bool)
    for draw in range(30):
        cut = Window((90, 90), (0.5, 0.5), seed=1)(picture, mask, valid, gsd=0.5, draw=(0, draw))[0][..., 0].astype(int)
        edges = [line for line in range(1, 90) if (cut[line] == cut[line - 1]).all()]
        assert edges  # the window is higher than the picture
        for edge in edges:
            reach = min(edge, 90 - edge)
            np.testing.assert_array_equal(cut[edge : edge + reach], cut[edge - reach : edge][::-1])
