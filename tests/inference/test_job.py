import re
from dataclasses import replace
from pathlib import Path

import pytest

from rooftop.errors import ConfigError
from rooftop.inference import Job, Tiling
from rooftop.polygons.roofs import Shaping

SHAPING = Shaping(separate=None, tolerance=0.0, angle=None, shift=0.0, min_area=0.0, min_hole=0.0)


def job(**changes):
    plain = {
        "threshold": 0.5,
        "probability": False,
        "bands": None,
        "views": None,
        "gsd": None,
        "crs": None,
        "rescale": True,
    }
    rest = {"folder": Path(), "unfinished": Path(), "shaping": SHAPING, "window": 64, "overlap": 16, "batch": 1}
    return Job(**{**plain, **rest, **changes})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("threshold", value) for value in (0.0, 1.0, -1.0, float("nan"))),
        *(("gsd", value) for value in (0.0, -0.3, float("inf"), float("nan"))),
        *(("polygons.separate", value) for value in (0.0, 1.1, -1.0, True, "often")),
        *(("polygons.angle", value) for value in (-1.0, 46.0)),
        *((f"polygons.{key}", value) for key in ("tolerance", "shift") for value in (-0.1, float("inf"))),
        *((f"polygons.{key}", value) for key in ("min_area", "min_hole") for value in (-1.0, float("nan"))),
    ],
)
def test_a_number_that_means_nothing_is_named(key, value):
    group, _, name = key.rpartition(".")
    with pytest.raises(ConfigError, match=re.escape(f"{key}={value} must be")):
        job(**({"shaping": replace(SHAPING, **{name: value})} if group else {name: value}))


@pytest.mark.parametrize("crs", ["EPSG:1", "32645", "somewhere", "EPSG:4978", "EPSG:5773"])
def test_a_code_that_is_no_reference_system_of_maps_is_named(crs):
    with pytest.raises(ConfigError, match=rf"crs={crs}: .*; (write its code|name one of degrees or metres), e\.g\."):
        job(crs=crs)


def test_windows_are_those_of_the_device_or_those_that_were_asked_for():
    usual = {"window": None, "overlap": 96, "batch": None}
    assert job(**usual).tiling("cpu") == Tiling(768, 96, 1)
    assert job(**usual).tiling("cuda") == Tiling(1024, 96, 2)
    for device in ("cpu", "cuda"):
        assert job(window=2048, overlap=64, batch=5).tiling(device) == Tiling(2048, 64, 5)
    assert [job(**usual).largest_pass(device) for device in ("cpu", "cuda")] == [768**2, 2048**2]
    assert job(window=64).largest_pass("cpu") == 768**2, "small windows of scenes do not cut pictures"
    with pytest.raises(ConfigError, match="overlap=400 must lie between 0 and half of window=768"):
        job(**usual | {"overlap": 400})
    for key in ("window", "batch"):
        with pytest.raises(ConfigError, match=f"{key}=0.* must be"):
            job(**{"overlap": 0, key: 0})


def test_the_ends_of_ranges_mean_something():
    assert job(threshold=0.001, shaping=replace(SHAPING, separate=1.0, angle=45.0)).shaping.separate == 1
    assert job(threshold=0.999, shaping=replace(SHAPING, separate=None, angle=0.0)).threshold == 0.999


@pytest.mark.parametrize(
    ("views", "picture", "scene"), [("auto", "flips", None), ("d4", "d4", "d4"), (None, None, None)]
)
def test_auto_is_flips_for_a_picture_and_one_view_for_a_scene(views, picture, scene):
    assert job(views=views).views_of(scene=False) == picture
    assert job(views=views).views_of(scene=True) == scene
