import dataclasses

import numpy as np
import pytest

from rooftop.towns.look import draw_look
from rooftop.towns.town import Building, Surface, Town, Wing


@pytest.fixture
def plain_look():
    """A camera without faults, the sun nearly overhead from the right; change it with dataclasses.replace."""
    return dataclasses.replace(
        draw_look((0, 0)),
        azimuth=0.0,
        elevation=np.radians(89),
        gain=1.0,
        haze=0.0,
        tint=(1.0, 1.0, 1.0),
        blur=0.01,
        sharpen=0.0,
        noise=0.0,
        contrast=1.0,
    )


@pytest.fixture
def one_house():
    """one_house(kind) -> a town of 24 x 15 m with one turned, light house on dark, even ground."""

    def make(kind="flat", angle=0.4):
        dark, light = Surface((0.05, 0.05, 0.05), 0, 0, 0, 0), Surface((0.5, 0.5, 0.5), 0, 0, 0, 0)
        town = Town(24.0, 15.0, dark)
        town.buildings.append(Building((Wing(11.0, 7.0, angle, 6.0, 3.5, 3.0, 0.5, kind),), light))
        return town

    return make
