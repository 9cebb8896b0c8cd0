"""Appearance of a town: sun, air and sensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TINT = 0.022  # deviation of the camera's balance of colours


@dataclass(frozen=True)
class Look:
    """Light, air and sensor of one picture.

    azimuth, elevation: of the sun, radians; azimuth of the sun, from x towards y. ambient: share of the light on
    flat ground from the whole sky. gain: exposure. haze: share of light added by the air.
    air: its colour, in [0, 1]. tint: factor of each colour. blur: deviation of the sensor's blur in px. sharpen:
    strength of sharpening. noise: deviation, of 255. contrast: around the middle. quality: of JPEG.
    offsets: start of the textures. seed: of the noise.
    """

    azimuth: float
    elevation: float
    ambient: float
    gain: float
    haze: float
    air: tuple[float, float, float]
    tint: tuple[float, float, float]
    blur: float
    sharpen: float
    noise: float
    contrast: float
    quality: int
    offsets: tuple[tuple[int, int], tuple[int, int]]
    seed: int

    @property
    def towards_sun(self) -> NDArray[np.float64]:
        """Unit vector on the ground, x and y."""
        return np.array([np.cos(self.azimuth), np.sin(self.azimuth)])

    @property
    def climb(self) -> float:
        """Rise of the light in metres per metre of ground."""
        return float(np.tan(self.elevation))


def draw_look(seed: Sequence[int]) -> Look:
    """A look from a seed of whole numbers; it does not depend on the ground sampling distance."""
    rng = np.random.default_rng([*seed, 1])
    offsets = rng.integers(0, 512, (2, 2)).tolist()
    return Look(
        azimuth=rng.uniform(0, 2 * np.pi),
        elevation=np.radians(rng.uniform(32, 68)),
        ambient=rng.uniform(0.28, 0.5),
        gain=rng.uniform(0.75, 1.3),
        haze=max(0.0, rng.normal(0.06, 0.06)),
        air=(0.66, 0.72, 0.80),
        tint=(rng.normal(1, TINT), rng.normal(1, TINT), rng.normal(1, TINT)),
        blur=rng.uniform(0.35, 0.85),
        sharpen=max(0.0, rng.normal(0.3, 0.4)),
        noise=rng.uniform(0.8, 4.0),
        contrast=rng.uniform(0.85, 1.25),
        quality=int(rng.integers(72, 96)),
        offsets=((offsets[0][0], offsets[0][1]), (offsets[1][0], offsets[1][1])),
        seed=int(rng.integers(2**31)),
    )
