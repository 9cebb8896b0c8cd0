import subprocess
import sys
from pathlib import Path

import albumentations
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from rooftop.config import build
from rooftop.data.augment import Augment, GableShade, check_operations, sides_of_ridges
from rooftop.errors import ConfigError

CONF = str(Path(__file__).parents[2] / "conf")


def pair():
    """A picture whose red channel is its mask, so that both can be compared after any turn."""
    mask = np.zeros((48, 80), np.uint8)
    mask[5:20, 10:30] = 1
    mask[30:40, 50:78] = 1
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[..., 0] = mask * 255
    picture[..., 1] = np.arange(80, dtype=np.uint8)
    return picture, mask[None], np.ones((48, 80), bool)


FLIPS = {
    "horizontal": {"_target_": "albumentations.HorizontalFlip", "p": 0.5},
    "vertical": {"_target_": "albumentations.VerticalFlip", "p": 0.5},
    "rot90": {"_target_": "albumentations.RandomRotate90", "p": 0.5},
}


def test_picture_and_mask_stay_aligned():
    augment = Augment(build(FLIPS, "augmentation").values(), seed=1)
    shapes = set()
    for draw in range(40):
        picture, mask, valid = augment(*pair(), draw=(draw, 0))
        np.testing.assert_array_equal(picture[..., 0], mask[0] * 255)
        assert valid.all()
        shapes.add(mask.shape[1:])
    assert shapes == {(48, 80), (80, 48)}


def test_uncovered_ground_is_not_valid():
    shift = albumentations.Affine(translate_percent={"x": 0.25, "y": 0.0}, scale=1.0, rotate=0, shear=0, p=1.0)
    picture, mask, valid = Augment([shift], seed=0)(*pair(), draw=(0, 0))
    assert not valid[:, :20].any()
    assert valid[:, 21:].all()
    np.testing.assert_array_equal(picture[:, 21:, 0] > 127, mask[0, :, 21:] > 0)


def test_equal_draws_repeat_and_others_differ():
    operations = [albumentations.HorizontalFlip(p=0.5), albumentations.RandomBrightnessContrast(p=1.0)]

    def drawn(seed: int, epoch: int, picture: int) -> np.ndarray:
        return Augment(operations, seed=seed)(*pair(), draw=(epoch, picture))[0]

    np.testing.assert_array_equal(drawn(0, 3, 5), drawn(0, 3, 5))
    for other in [(0, 4, 5), (0, 3, 6), (1, 3, 5)]:
        assert not np.array_equal(drawn(0, 3, 5), drawn(*other))


def test_importing_albumentations_looks_nothing_up_online():
    import os

    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


@pytest.mark.parametrize("name", ["flips", "none", "strong"])
def test_every_choice_keeps_shapes_types_and_masks_binary(name):
    from omegaconf import OmegaConf

    from rooftop.config.paths import CONF

    node = OmegaConf.load(CONF / "augmentation" / f"{name}.yaml")
    if "defaults" in node:
        node = OmegaConf.merge(OmegaConf.load(CONF / "augmentation" / f"{node.pop('defaults')[0]}.yaml"), node)
    augment = Augment(build(OmegaConf.to_container(node), "augmentation").values(), seed=0)
    for epoch in range(12):
        picture, mask, valid = augment(*pair(), draw=(epoch, 1))
        assert picture.dtype == np.uint8
        assert mask.dtype == np.uint8
        assert valid.dtype == bool
        assert picture.shape[:2] == mask.shape[1:] == valid.shape
        assert set(np.unique(mask)) <= {0, 1}


def test_gable_roofs_get_a_light_and_a_dark_side():
    mask = np.zeros((40, 60), np.uint8)
    mask[5:15, 5:45] = 1  # its long axis runs from west to east
    mask[20:38, 50:56] = 1  # and this one's from north to south
    sides = sides_of_ridges(mask)
    assert (sides[5:10, 5:45] == 1).all()
    assert (sides[10:15, 5:45] == -1).all()
    assert (np.abs(sides[20:38, 50:53] + sides[20:38, 53:56]) < 1e-6).all()
    assert not sides[mask == 0].any()
    picture = np.full((40, 60, 3), 100, np.uint8)
    shade = GableShade(strength=(0.3, 0.3), p=1.0)
    lit = Augment([shade], seed=0)(picture, mask[None], np.ones((40, 60), bool), draw=(0, 0))[0]
    assert set(np.unique(lit[mask == 1])) == {70, 130}
    assert (lit[mask == 0] == 100).all()


def test_light_falls_on_roofs_and_not_on_their_edges():
    roofs, edges = np.zeros((2, 40, 60), np.uint8)
    roofs[10:20, 5:25] = roofs[10:20, 26:46] = 1
    edges[9:21, 4:47] = 1
    shade = GableShade(strength=(0.3, 0.3), p=1.0)
    augment = Augment([shade], seed=0, targets=2)
    lit = augment(np.full((40, 60, 3), 100, np.uint8), np.stack([roofs, edges]), np.ones((40, 60), bool), draw=(0, 0))[
        0
    ]
    assert (lit[roofs == 0] == 100).all()
    assert (lit[10:20, 5:25] == lit[10:20, 26:46]).all()


def test_empty_ground_has_no_sides():
    assert not sides_of_ridges(np.zeros((5, 7), np.uint8)).any()


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 6, 10, 13])
def test_what_knows_no_colours_works_on_any_number_of_bands(channels):
    with initialize_config_dir(CONF, version_base="1.3"):
        operations = build(compose("train", ["augmentation=bands"]).augmentation, "augmentation")
    check_operations(operations, channels)
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, channels), dtype=np.uint8)
    mask = np.zeros((1, 48, 80), np.uint8)
    augment = Augment(operations.values(), seed=0)
    for draw in range(10):
        turned, _, _ = augment(picture, mask, mask[0] == 0, draw=(0, draw))
        assert turned.shape[2] == channels
        assert turned.dtype == np.uint8


def test_colours_of_four_bands_are_refused():
    operation = albumentations.HueSaturationValue(p=0.1)
    check_operations({"hue": operation, "none": None}, 3)
    with pytest.raises(ConfigError, match=r"augmentation\.hue: HueSaturationValue works on colours, not on 4 bands"):
        check_operations({"hue": operation}, 4)
    assert operation.p == 0.1


def test_importing_looks_for_no_update_online():
    code = """
import os, sys, urllib.request
os.environ.pop("NO_ALBUMENTATIONS_UPDATE", None)
asked = []
urllib.request.urlopen = lambda *what, **how: asked.append(what) or sys.exit("looked online")
class Opener:
    def open(self, *what, **how): asked.append(what); raise OSError
urllib.request.build_opener = lambda *handlers: Opener()
import rooftop.data.augment
sys.exit(len(asked))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
