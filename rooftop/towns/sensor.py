"""From light to numbers: fine pixels to pixels, blur, haze, contrast, noise."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rooftop.raster.windows import Window
from rooftop.towns.grid import Floats
from rooftop.towns.look import Look

BLUR_REACH = 8  # pixels around a picture that its blurs look at
HALO = 1.2  # deviation in pixels of the blur that sharpening takes off


def expose(light: Floats, fine: int, window: Window, look: Look) -> NDArray[np.uint8]:
    """Light to a picture.

    Args:
        light: linear, float32 ((H + 2 r) * fine, (W + 2 r) * fine, 3) with r = `BLUR_REACH`.
        fine: fine pixels along one of the picture.
        window: where the picture lies; with the look it seeds the noise.
        look: air and sensor.

    Returns:
        uint8 (H, W, 3).
    """
    rows, columns = light.shape[0] // fine, light.shape[1] // fine
    values: Floats = light.reshape(rows, fine, columns, fine, 3).mean(axis=(1, 3))
    values = _blur(values, look.blur)
    values = np.maximum(values, 0) ** np.float32(1 / 2.2)
    if look.sharpen:
        values += np.float32(look.sharpen) * (values - _blur(values, HALO))
    values = values[BLUR_REACH:-BLUR_REACH, BLUR_REACH:-BLUR_REACH]
    air = np.array(look.air, np.float32)
    values = (values * np.array(look.tint, np.float32)) * np.float32(1 - look.haze) + air * np.float32(look.haze)
    values = (values - 0.45) * np.float32(look.contrast) + np.float32(0.45)
    rng = np.random.default_rng([look.seed, window.row, window.column])
    values = values * 255 + rng.standard_normal(values.shape, dtype=np.float32) * np.float32(look.noise)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _blur(values: Floats, deviation: float) -> Floats:
    blurred: Floats = ndimage.gaussian_filter(values, (deviation, deviation, 0), truncate=3)
    return blurred
