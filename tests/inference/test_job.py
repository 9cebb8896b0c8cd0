import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rooftop.errors import ConfigError
from rooftop.inference import Job, Tiling
from rooftop.polygons.roofs import Shaping

PICTURES = np.random.default_rng(0).integers(0, 256, (1, 24, 40, 3), dtype=np.uint8)
SHAPING = Shaping(separate=None, tolerance=0.0, angle=None, shift=0.0, min_area=0.0, min_hole=0.0)


class Counted:
    """Stands for a predictor that learned at 0.25 m; notes the sizes it is shown."""

    def __init__(self):
        self.run, self.seen = SimpleNamespace(card=SimpleNamespace(gsd=0.25, preparation={"size": None})), []

    def forward(self, pictures):
        self.seen.append(pictures.shape[1:3])
        return pictures[:, None, :, :, 0].astype(np.float32) / 255


def job(**changes):
    plain = {
        "single": True,
        "categories": ("roof",),
        "targets": ("roof",),
        "threshold": 0.5,
        "probability": False,
        "bands": None,
    }
    rest = {"folder": Path(), "unfinished": Path(), "shaping": SHAPING, "tiling": Tiling(64, 16, 1)}
    return Job(**{**plain, **rest, "views": None, "gsd": None, "rescale": True, **changes})


@pytest.mark.parametrize(
    ("views", "scene", "looks"),
    [("auto", False, 4), ("auto", True, 1), ("d4", True, 8), ("scales", True, 12), (None, False, 1)],
)
def test_how_often_the_network_looks(views, scene, looks):
    network = Counted()
    job(views=views).asked(network, scene=scene, gsd=None)(PICTURES)
    assert len(network.seen) == looks


def test_large_pictures_are_cut_into_the_windows_that_were_asked_for():
    network = Counted()
    large = np.zeros((1, 2049, 2048, 3), np.uint8)
    job(tiling=Tiling(1000, 16, 1)).asked(network, scene=False, gsd=None)(large)
    assert {*network.seen} == {(1000, 1000)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("threshold", value) for value in (0.0, 1.0, -1.0, float("nan"))),
        *(("gsd", value) for value in (0.0, -0.3, float("inf"), float("nan"))),
        *(("polygons.separate", value) for value in (0.0, 1.1, -1.0)),
        *(("polygons.angle", value) for value in (-1.0, 46.0)),
        *((f"polygons.{key}", value) for key in ("tolerance", "shift") for value in (-0.1, float("inf"))),
        *((f"polygons.{key}", value) for key in ("min_area", "min_hole") for value in (-1.0, float("nan"))),
    ],
)
def test_a_number_that_means_nothing_is_named(key, value):
    group, _, name = key.rpartition(".")
    with pytest.raises(ConfigError, match=re.escape(f"{key}={value} must be")):
        job(**({"shaping": replace(SHAPING, **{name: value})} if group else {name: value}))


def test_the_ends_of_ranges_mean_something():
    assert job(threshold=0.001, shaping=replace(SHAPING, separate=1.0, angle=45.0)).shaping.separate == 1
    assert job(threshold=0.999, shaping=replace(SHAPING, separate=None, angle=0.0)).threshold == 0.999


@pytest.mark.parametrize(
    ("gsd", "rescale", "size"),
    [(0.5, True, (48, 80)), (0.5, False, (24, 40)), (None, True, (24, 40)), (0.26, True, (24, 40))],
)
def test_what_size_the_network_sees(gsd, rescale, size):
    network = Counted()
    job(rescale=rescale).asked(network, scene=True, gsd=gsd)(PICTURES)
    assert network.seen == [size]


def test_windows_of_a_scaled_scene_cover_the_ground_that_the_network_expects():
    assert Tiling(1024, 96, 2).scaled(2.0) == Tiling(2048, 192, 2)
    assert Tiling(1024, 96, 2).scaled(0.5) == Tiling(512, 48, 2)
    assert Tiling(1024, 96, 2).scaled(20.0) == Tiling(4096, 1920, 2), "memory stays bounded"
