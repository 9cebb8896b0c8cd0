"""Sun and sky on a raster of heights: cast shadows, and how steeply the light falls on a surface."""

import numpy as np
from numpy.typing import NDArray

from rooftop.towns.grid import Floats
from rooftop.towns.look import Look

SKY = (0.86, 1.0, 1.22)  # colour of the light in the shade: blue


def shadows(height: Floats, step: float, look: Look) -> NDArray[np.bool_]:
    """Where the sun is hidden.

    A point is in the shade if a step of n pixels towards the sun rises less than the ground does. The largest such
    height over all n up to a power of two comes from two of half of it, so that a dozen comparisons do for any length.

    Args:
        height: metres, float32 (H, W).
        step: metres of a pixel.
        look: has the sun.

    Returns:
        bool (H, W).
    """
    tallest = float(height.max(initial=0))
    pixels = tallest / look.climb / step
    x, y = look.towards_sun
    hidden = _towards(height, x, y) - step * look.climb
    n = 1
    while n < pixels:
        hidden = np.maximum(hidden, _towards(hidden, n * x, n * y) - n * step * look.climb)
        n *= 2
    return hidden > height + 0.15


def lit(colour: Floats, normal: Floats, shade: NDArray[np.bool_], look: Look) -> Floats:
    """Reflectance and light: flat ground in the sun keeps its colour; float32 (H, W, 3).

    Args:
        colour: float32 (H, W, 3).
        normal: rise of the surface along x and y, float32 (H, W, 2).
        shade: bool (H, W).
        look: has the sun.
    """
    x, y = (look.towards_sun / look.climb).astype(np.float32)
    slope = normal[..., 0], normal[..., 1]
    steep = np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    sun = np.maximum(1 - slope[0] * x - slope[1] * y, 0) / steep * ~shade
    ambient = look.ambient * (0.5 + 0.5 / steep) * np.where(shade, np.float32(0.9), np.float32(1))
    sky = np.array(SKY, np.float32) * np.float32(look.gain)
    warm = (np.float32(look.gain) - look.ambient * sky).astype(np.float32)  # with the sky it makes white
    light: Floats = colour * (ambient[..., None] * sky + sun[..., None] * np.maximum(warm, 0.1))
    return light


def _towards(height: Floats, x: float, y: float) -> Floats:
    """The raster as seen (x, y) pixels further: nearest pixels, the lowest number beyond the edge."""
    column, row = round(float(x)), round(float(y))
    moved = np.full_like(height, -1e3)
    h, w = height.shape
    if abs(column) < w and abs(row) < h:
        to = slice(max(-row, 0), h - max(row, 0)), slice(max(-column, 0), w - max(column, 0))
        source = slice(max(row, 0), h + min(row, 0)), slice(max(column, 0), w + min(column, 0))
        moved[to] = height[source]
    return moved
