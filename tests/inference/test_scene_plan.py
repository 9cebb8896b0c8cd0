import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rasterio import Affine

from rooftop.data.prepare import Preparation
from rooftop.errors import SourceError
from rooftop.inference import Job, Tiling
from rooftop.inference.scene_plan import plan_scene
from rooftop.inference.views import VIEWS, with_views
from rooftop.polygons.roofs import Shaping
from rooftop.raster.scene import open_scene
from rooftop.run import Card

SHAPING = Shaping(separate=None, tolerance=0.0, angle=None, shift=0.0, min_area=0.0, min_hole=0.0)
DEGREES = {"crs": "EPSG:4326", "transform": Affine(4.05e-6, 0, 2.35, 0, -4.05e-6, 48.85)}  # 0.30 m x 0.45 m
TILING = Tiling(64, 16, 1)
TYPED = {"window": 64, "overlap": 16, "batch": 1}


def predictor(gsd=0.3, size=None, gsd_range=None, engine="torch"):
    """Stands for a predictor trained at `gsd` metres per pixel."""
    preparation = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": size}
    card = Card({}, preparation, ["roof"], threshold=0.5, gsd=gsd, gsd_range=gsd_range)
    about = {"engine": engine, "device": torch.device("cpu"), "weights_hash": "0"}
    return SimpleNamespace(run=SimpleNamespace(card=card), preparation=Preparation.of(preparation), **about)


@pytest.fixture
def plan(raster, town, tmp_path):
    """Plan a scene of 0.3 m a pixel, or with another profile; settings are those of the job."""

    paths = {}

    def make(network=None, profile=None, **settings):
        if str(profile) not in paths:  # written once: a cache key contains the time of the file
            paths[str(profile)] = raster(town, **(profile or {}))
        plain = {"threshold": None, "probability": False, "bands": None, "views": "auto", "gsd": None, "rescale": True}
        plain |= {"crs": None}
        rest = {"folder": tmp_path, "unfinished": tmp_path, "shaping": SHAPING, **TYPED}
        job = Job(**{**plain, **rest, **settings})
        with open_scene(paths[str(profile)], crs=job.crs) as scene:
            return plan_scene(scene, network or predictor(), job)

    return make


def test_a_scene_like_the_training_needs_no_scale_and_no_words(plan):
    planned = plan()
    assert (planned.factor, planned.scale, planned.views, planned.messages) == (None, None, None, ())
    assert planned.tiling == TILING
    assert planned.ground.gsd == pytest.approx(0.3, rel=1e-3)


def test_a_coarser_scene_is_scaled_with_smaller_windows_of_the_same_ground(plan):
    planned = plan(gsd=0.6)
    assert planned.factor == planned.scale == pytest.approx(2)
    assert planned.tiling == Tiling(32, 8, 1)
    assert planned.ground.gsd == pytest.approx(0.3, rel=1e-3), "the file is measured"
    ((level, text),) = planned.messages
    assert level == logging.INFO
    assert "scaled by 2.00; rescale=false turns it off" in text


def test_without_scaling_a_scene_beyond_the_training_is_a_warning(plan):
    planned = plan(gsd=0.6, rescale=False)
    assert (planned.factor, planned.scale, planned.tiling) == (None, None, TILING)
    ((level, text),) = planned.messages
    assert level == logging.WARNING
    assert "roofs look 2.0 times smaller" in text
    assert plan(predictor(gsd_range=[0.2, 0.7]), gsd=0.6, rescale=False).messages == ()


def test_windows_shrink_where_a_view_magnifies_them(plan):
    assert plan(views="scales").tiling.window == round(64 / 1.3)
    assert plan(views="d4").tiling == TILING


def test_a_run_of_fixed_size_gets_windows_of_it_and_no_scale(plan):
    planned = plan(predictor(size=[32, 48]), gsd=0.6, views="scales")
    assert planned.tiling == Tiling(32, 16, 1)
    assert planned.scale is None
    assert ["resized to 32 x 48 px" in message.text for message in planned.messages] == [True]


@pytest.mark.parametrize("rescale", [True, False])
def test_pixels_that_are_not_square_become_squares_of_the_same_area_if_anything_is_scaled(plan, rescale):
    planned = plan(predictor(gsd=None), DEGREES, rescale=rescale)
    if rescale:
        down, across = planned.scale
        assert down / across == pytest.approx(1.5, abs=0.02)
        assert down * across == pytest.approx(1)
    else:
        assert planned.scale is None
    assert [message.level for message in planned.messages] == [logging.INFO if rescale else logging.WARNING]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_without_a_place_takes_gsd_for_scale_and_ground(plan):
    plain = {"crs": None, "transform": None}
    (message,) = plan(profile=plain).messages
    assert "0.30 m a pixel assumed, as in training; gsd=METRES changes it" in message.text
    planned = plan(profile=plain, gsd=0.6)
    assert planned.factor == pytest.approx(2)
    assert planned.ground.gsd == 0.6


def test_corners_without_a_reference_system_give_the_size_of_a_pixel_and_a_warning(plan):
    corners = {"crs": None, "transform": Affine(0.6, 0, 4e5, 0, -0.6, 3e6)}
    planned = plan(profile=corners)
    assert planned.factor == pytest.approx(2)
    assert (planned.ground.georeference, planned.ground.gsd) == (None, 0.6)
    warning = planned.messages[0]
    assert warning.level == logging.WARNING
    assert "roofs come in pixels of 0.60 m, as its corners tell: it has corners but no reference system" in warning.text
    asked = plan(profile=corners, gsd=0.3)
    assert (asked.factor, asked.ground.gsd) == (None, 0.3), "nothing is measured, so gsd= wins"
    assert "as its corners tell" not in asked.messages[0].text


def test_a_reference_system_completes_corners_and_is_told_where_it_is_left_aside(plan):
    corners = {"crs": None, "transform": Affine(0.6, 0, 4e5, 0, -0.6, 3e6)}
    placed = plan(profile=corners, crs="EPSG:32645")
    assert placed.ground.georeference.name == "EPSG:32645"
    assert [message.level for message in placed.messages] == [logging.INFO]
    (kept,) = plan(crs="EPSG:32644").messages
    assert "keeps its own reference system, EPSG:32645, since crs=EPSG:32644 is for files without one" in kept.text
    assert plan(crs="EPSG:32645").messages == ()


def test_pixels_too_large_for_the_run_are_one_sentence(plan):
    with pytest.raises(SourceError, match=r"pixels of 60 m are too large for a run trained at 0\.30 m; .* gsd=METRES"):
        plan(gsd=60)
    assert plan(gsd=60, rescale=False).scale is None


@pytest.mark.parametrize("change", [{"gsd": 0.6}, {"views": "flips"}, {"overlap": 8}, {"bands": (3, 2, 1)}])
def test_the_cache_key_follows_what_the_probabilities_depend_on(plan, change):
    assert plan().key != plan(**change).key


def test_engines_do_not_resume_each_others_scenes(plan):
    keys = [plan(predictor(engine=engine)).key for engine in ("torch", "onnxruntime", "int8")]
    assert keys[0] != keys[1] != keys[2] != keys[0]


def test_the_cache_key_ignores_what_they_do_not_depend_on(plan):
    assert plan().key == plan(threshold=0.3, shaping=Shaping(0.8, 1, 20, 2, 10, 3), probability=True).key
    assert plan(gsd=0.3).key == plan(rescale=False).key


@pytest.mark.parametrize(
    ("change", "size"),
    [({"gsd": 0.6}, (48, 80)), ({"gsd": 0.6, "rescale": False}, (24, 40)), ({"gsd": 0.31}, (24, 40))],
)
def test_what_size_the_network_sees(plan, change, size, per_pixel):
    seen, planned = [], plan(**change)
    forward = with_views(
        lambda pictures: seen.append(pictures.shape[1:3]) or per_pixel(pictures),
        factor=planned.scale,
        views=planned.views,
    )
    forward(np.zeros((1, 24, 40, 3), np.uint8))
    assert {*seen} == {size}


@pytest.mark.parametrize("views", [None, *VIEWS])
@pytest.mark.parametrize("gsd", [0.02, 0.1, 0.53, 3.0])
def test_on_a_cpu_no_pass_has_more_pixels_than_the_memory_is_for(plan, gsd, views, per_pixel):
    usual = {"window": None, "overlap": 96, "batch": None}
    seen, planned = [], plan(gsd=gsd, views=views, **usual)
    assert planned.tiling.batch == 1
    assert planned.tiling.window <= 3072
    side = min(planned.tiling.window, 900)  # a test need not fill the largest
    forward = with_views(
        lambda pictures: (
            seen.append(pictures.shape[1] / side)
            or per_pixel(pictures[:, :1, :1]).repeat(pictures.shape[1], axis=2).repeat(pictures.shape[2], axis=3)
        ),
        factor=planned.scale,
        views=planned.views,
    )
    forward(np.zeros((1, side, side, 3), np.uint8))
    assert max(seen) * planned.tiling.window <= 768 + 5  # rounded to whole pixels of the scene


@pytest.mark.parametrize(("views", "looks"), [("auto", 1), *((views, len(VIEWS[views])) for views in VIEWS)])
def test_how_often_the_network_looks(plan, views, looks, per_pixel):
    seen, planned = [], plan(views=views)
    with_views(lambda pictures: seen.append(1) or per_pixel(pictures), factor=planned.scale, views=planned.views)(
        np.zeros((1, 24, 40, 3), np.uint8)
    )
    assert len(seen) == looks
