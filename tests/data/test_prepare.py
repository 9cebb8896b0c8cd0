import numpy as np
import torch

from rooftop.data.prepare import Preparation

MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.1, 0.25)


def test_normalise_and_restore_are_inverse():
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3)).astype(np.uint8)
    preparation = Preparation(MEAN, STD)
    image = preparation.normalise_batch(torch.from_numpy(picture[None]))[0]
    assert image.dtype == torch.float32
    assert tuple(image.shape) == (3, 48, 80)
    np.testing.assert_allclose(image[1, 3, 7], (picture[3, 7, 1] / 255 - 0.5) / 0.1, rtol=1e-5)
    np.testing.assert_array_equal(preparation.restore(image), picture)


def test_a_batch_is_normalised_like_its_pictures():
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 48, 80, 3)).astype(np.uint8))
    preparation = Preparation(MEAN, STD)
    together = preparation.normalise_batch(pictures)
    assert torch.equal(together, torch.cat([preparation.normalise_batch(picture[None]) for picture in pictures]))


def test_the_middle_is_nearly_nothing_once_normalised():
    preparation = Preparation(MEAN, STD)
    middle = torch.from_numpy(np.broadcast_to(preparation.middle, (1, 4, 6, 3)).copy())
    assert preparation.normalise_batch(middle).abs().max() < 0.02


def test_resize_is_height_then_width_and_masks_stay_0_and_1():
    preparation = Preparation(MEAN, STD, (24, 60))
    picture = np.zeros((48, 80, 3), np.uint8)
    mask = (np.random.default_rng(0).random((48, 80)) > 0.5).astype(np.uint8)
    assert preparation.resize(picture).shape == (24, 60, 3)
    small = preparation.resize(mask, nearest=True)
    assert small.shape == (24, 60)
    assert set(np.unique(small)) == {0, 1}


def test_many_bands_are_resized_alike():
    bands = np.random.default_rng(0).integers(0, 256, (48, 80, 5)).astype(np.uint8)
    preparation = Preparation((0.5,) * 5, (0.2,) * 5, (24, 40))
    whole = preparation.resize(bands)
    assert whole.shape == (24, 40, 5)
    np.testing.assert_array_equal(whole[..., :3], preparation.resize(bands[..., :3]))


def test_of_plain_containers():
    plain = {"mean": list(MEAN), "std": list(STD), "size": [24, 60]}
    assert Preparation.of(plain) == Preparation(MEAN, STD, (24, 60))
    assert Preparation.of({**plain, "size": None}).size is None


def test_bands_and_scale_travel_along():
    plain = {"mean": [0.5, 0.4], "std": [0.2, 0.1], "size": None, "bands": [4, 1], "scale": [[0, 9.5], [2.0, 3.0]]}
    preparation = Preparation.of(plain)
    assert preparation.plain() == plain
    assert preparation.reading.bands == (4, 1)
    assert set(Preparation.of({"mean": MEAN, "std": STD, "size": None}).plain()) == {"mean", "std", "size"}
