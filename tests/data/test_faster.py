"""Faster ways give what albumentations gives: the same pixels for the same draw, or the same statistics."""

from pathlib import Path
from random import Random

import albumentations
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scipy.stats import ks_2samp

from rooftop.config import build
from rooftop.data.augment import Augment, GableShade
from rooftop.data.augment.colours import recolour
from rooftop.data.augment.faster import way_of
from rooftop.data.augment.sample import Sample, as_it_is
from rooftop.data.augment.turns import TURNS, turn
from rooftop.raster.picture import read_picture

ROOT = Path(__file__).parents[2]
TILES = sorted((ROOT / "data" / "banepa" / "images" / "train").glob("*.jpg"))
JITTER = albumentations.ColorJitter(
    brightness=(0.65, 1.5), contrast=(0.65, 1.5), saturation=(0.4, 1.6), hue=(-0.05, 0.05), p=1
)
TINT = albumentations.RGBShift(r_shift_limit=15, g_shift_limit=15, b_shift_limit=15, p=1)
GREY = albumentations.ToGray(p=1)
HUES = albumentations.HueSaturationValue(hue_shift_limit=90, sat_shift_limit=30, val_shift_limit=0, p=1)
LIGHT = albumentations.RandomBrightnessContrast(p=1)

DRAWS = 400
STATISTICS = {
    "brightness": lambda picture: picture.mean(),
    "contrast": lambda picture: picture.std(),
    "red against blue": lambda picture: picture[..., 0].mean() - picture[..., 2].mean(),
    "saturation": lambda picture: np.ptp(picture, axis=2).mean(),
    "sharpness": lambda picture: np.abs(np.diff(picture.astype(int), axis=1)).mean(),
    "corner": lambda picture: picture[:12, :12].mean(),
}


def sample(tile=0, bands=3, **parts):
    picture = read_picture(TILES[tile])[:96, :80]
    mask = (picture[..., 0] > 110).astype(np.uint8)[None]
    return Sample(picture[..., np.arange(bands) % 3], mask, picture[..., 1] > 40)._replace(**parts)


def both(operation, way, given, seed):
    """What two ways make of the same draw."""
    operation.set_random_seed(seed)
    fast = way(operation, given)
    operation.set_random_seed(seed)
    return fast, as_it_is(operation, given)


@pytest.mark.parametrize("run", [[JITTER], [JITTER, TINT], [JITTER, GREY, TINT], [HUES], [LIGHT]])
def test_colours_in_one_pass_are_those_of_the_operations(run):
    missed = []
    for seed in range(40):
        given = sample(seed)
        for operation in run:
            operation.set_random_seed(seed)
        fast, slow = recolour(run, given).picture, given
        for operation in run:
            operation.set_random_seed(seed)
            slow = as_it_is(operation, slow)
        difference = fast.astype(float) - slow.picture
        missed.append(np.sqrt((difference**2).mean()))
        assert abs(difference.mean()) < 1
    assert np.mean(missed) < 1.2
    assert max(missed) < 2.5


@pytest.mark.parametrize(
    "operation",
    [
        albumentations.Affine(rotate=[-45, 45], border_mode=4, p=1),
        albumentations.Affine(scale=[0.7, 1.4], rotate=[-20, 20], p=1),
        albumentations.PlasmaShadow(shadow_intensity_range=(0.15, 0.6), roughness=2.5, p=1),
    ],
)
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("is_all_valid", [True, False])
def test_the_same_draw_gives_the_same_pixels(operation, bands, is_all_valid):
    for seed in range(5):
        given = sample(seed, bands)
        given = given._replace(valid=np.broadcast_to(np.True_, given.valid.shape)) if is_all_valid else given
        fast, slow = both(operation, way_of(operation), given, seed)
        assert fast.picture.shape == slow.picture.shape
        for one, other in zip(fast, slow, strict=True):
            np.testing.assert_array_equal(one, other)


def test_noise_has_the_same_mean_and_deviation():
    operation = albumentations.GaussNoise(std_range=(0.02, 0.02), mean_range=(0.01, 0.01), p=1)
    grey = sample(picture=np.full((96, 80, 3), 128, np.uint8))
    fast, slow = zip(*(both(operation, way_of(operation), grey, seed) for seed in range(30)), strict=True)
    assert not np.array_equal(fast[0].picture, fast[1].picture)
    for statistic in (np.mean, np.std):
        first, second = (statistic([each.picture for each in drawn]) for drawn in (fast, slow))
        assert abs(first - second) < 0.03


def test_other_settings_stay_with_albumentations():
    for operation in (
        albumentations.Affine(rotate=[-45, 45], interpolation=2),
        albumentations.GaussNoise(per_channel=False),
        albumentations.GaussianBlur(),
    ):
        assert way_of(operation) is as_it_is


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_turns_put_together_are_turns_one_after_the_other(bands):
    random = np.random.default_rng(bands)
    for seed in range(30):
        given = sample(seed, bands)
        run = [TURNS[i](p=1) for i in random.permutation(3)[: random.integers(1, 4)]]
        fast, slow, drawn = turn(run, given, Random(seed)), given, Random(seed)
        for operation in run:
            times = drawn.randrange(4)
            if isinstance(operation, albumentations.RandomRotate90):
                slow = Sample(np.rot90(slow[0], times), np.rot90(slow[1], times, (1, 2)), np.rot90(slow[2], times))
            else:
                slow = as_it_is(operation, slow)
        for one, other in zip(fast, slow, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["aerial", "anywhere"])
def test_drawn_pictures_have_the_statistics_of_the_chain(name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        chain = list(build(compose("train", [f"augmentation={name}"]).augmentation, "augmentation").values())
    first = len(TURNS)  # the turns, which draw from a generator of their own
    picture = read_picture(TILES[0])[:48, :64]
    mask, valid = np.zeros((1, 48, 64), np.uint8), np.ones((48, 64), bool)
    mask[:, 10:30, 20:50] = 1
    augment, whole = Augment(chain[first:], seed=1), albumentations.Compose(chain[first:])
    fast, slow = [], []
    for i in range(DRAWS):
        fast.append(augment(picture, mask, valid, draw=(0, i))[0])
        whole.set_random_seed(int(np.random.SeedSequence([1, 0, i]).generate_state(1)[0]))
        slow.append(whole(image=picture, masks=[mask[0], valid.astype(np.uint8)])["image"])
    missed = np.sqrt(((np.array(fast, float) - slow) ** 2).mean(axis=(1, 2, 3)))
    assert np.median(missed) < 1.5
    for what, statistic in STATISTICS.items():
        same = ks_2samp([statistic(each) for each in fast], [statistic(each) for each in slow])
        assert same.pvalue > 0.5, what


def test_gable_light_is_that_of_the_roofs_sides():
    shade = GableShade(strength=(0.3, 0.3), p=1.0)
    given = sample()
    lit = Augment([shade], seed=0)(*given, draw=(0, 0))[0]
    gain = (lit.astype(float) / given.picture.clip(1))[given.mask[0] == 1]
    assert 0.68 < np.percentile(gain, 2) < 0.72
    assert 1.28 < np.percentile(gain, 90) < 1.32
