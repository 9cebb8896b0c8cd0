"""Resizing pictures of any number of bands."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.uint8]
Box = tuple[float, float, float, float]


def resize(pixels: Array, size: tuple[int, int], method: Image.Resampling, box: Box | None = None) -> Array:
    """Resize uint8 (H, W) or (H, W, C) to (height, width) = `size`.

    Args:
        pixels: grey or of any number of bands.
        size: in pixels.
        method: how.
        box: left, top, right, bottom of the part to take, in pixels; None: all.
    """
    height, width = size
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), method, box=box))
    # band by band: Pillow takes a fourth one for transparency, and multiplies the others by it
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(pixels, -1, 0)]
    return np.stack([np.asarray(band.resize((width, height), method, box=box)) for band in bands], axis=-1)
