import dataclasses

import numpy as np
import pytest

from rooftop.raster.rasterise import rasterise
from rooftop.raster.windows import Window
from rooftop.towns.folder import outlines
from rooftop.towns.layers import shadows
from rooftop.towns.look import draw_look
from rooftop.towns.plan import plan
from rooftop.towns.render import render

WHOLE = Window(0, 0, 96, 60)  # of 24 x 15 m at 0.25 m


@pytest.mark.parametrize("kind", ["flat", "gable", "hip", "shed"])
def test_roofs_lie_exactly_where_their_outlines_say(one_house, plain_look, kind):
    town = one_house(kind)
    picture = render(town, WHOLE, gsd=0.25, look=plain_look)
    mask = rasterise(outlines(town, WHOLE, gsd=0.25), 60, 96)
    seen = picture.mean(axis=2) > 120
    assert picture.shape == (60, 96, 3)
    assert (seen & mask.astype(bool)).sum() / (seen | mask.astype(bool)).sum() > 0.97


def test_the_side_towards_the_sun_is_brighter(one_house, plain_look):
    town = one_house("gable", angle=np.pi / 2)  # the ridge from top to bottom, the sun from the right
    look = dataclasses.replace(plain_look, elevation=np.radians(45))
    picture = render(town, WHOLE, gsd=0.25, look=look).astype(int)
    left, right = picture[28, 36].mean(), picture[28, 52].mean()
    assert right > 1.2 * left > 1.2 * 60


def test_a_shadow_is_as_long_as_the_sun_says(plain_look):
    height = np.zeros((20, 120), np.float32)
    height[5:15, 100:104] = 6.0
    look = dataclasses.replace(plain_look, elevation=np.arctan(0.5))  # 12 m of shadow away from the sun: 48 px
    found = shadows(height, 0.25, look)
    assert np.count_nonzero(found[10, :100]) == pytest.approx(48, abs=2)
    assert not found[2].any()
    assert not found[:, 104:].any()


def test_windows_fit_together(plain_look):
    town = plan((1, 4), 60.0, 36.0, density=0.9)
    look = dataclasses.replace(plain_look, elevation=np.radians(35), blur=0.7, sharpen=0.5)
    whole = render(town, Window(0, 0, 200, 120), gsd=0.3, look=look)
    part = render(town, Window(70, 30, 90, 50), gsd=0.3, look=look)
    assert (whole[30:80, 70:160] == part).mean() > 0.999


def test_coarser_is_the_mean_of_finer(plain_look):
    town = plan((1, 5), 60.0, 36.0, density=0.9)
    fine = render(town, Window(0, 0, 400, 240), gsd=0.15, look=plain_look).astype(float)
    coarse = render(town, Window(0, 0, 200, 120), gsd=0.3, look=plain_look).astype(float)
    mean = fine.reshape(120, 2, 200, 2, 3).mean(axis=(1, 3))
    assert np.abs(mean - coarse).mean() < 6


def test_a_look_repeats_and_noise_is_that_of_its_window():
    town, look = plan((1, 6), 30.0, 18.0, density=0.9), draw_look((1, 6))
    first, again, beside = (render(town, Window(x, 0, 50, 30), gsd=0.3, look=look) for x in (0, 0, 50))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, beside)
    assert look == draw_look((1, 6)) != draw_look((1, 7))


def test_an_empty_town_is_its_ground(one_house, plain_look):
    town = one_house()
    town.buildings.clear()
    assert render(town, WHOLE, gsd=0.25, look=plain_look).std() < 2
