import numpy as np
import pytest

from rooftop.data.window import Window


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


def test_own_distance_copies_pixels_at_most_half_a_pixel_off():
    window = Window((24, 40), (0.5, 0.5), seed=3)
    picture, _, _ = window(*scene(), gsd=0.5, draw=(0, 0))
    assert np.abs(np.diff(picture[..., 1].astype(int), axis=1) - 1).max() <= 1


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
