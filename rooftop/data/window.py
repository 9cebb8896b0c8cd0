"""Windows of one size in pixels cut out of pictures, at a ground sampling distance drawn anew each time.

Sensors differ in metres per pixel; a roof does not. Drawing the metres, not a factor, gives pictures of every source
the same range, so that one network serves all of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.data.resize import Box, resize

Array = NDArray[np.uint8]
SHARPER = 0.55  # a picture is magnified to this share of its own sampling distance at most
BEYOND = 1.6  # a window is this many times as long as the picture's shorter side at most; the rest is mirrored


class Window:
    """Cuts windows.

    Args:
        size: (height, width) of the window in pixels.
        gsd: lowest and highest ground sampling distance in metres per pixel; drawn evenly on a logarithmic scale.
        seed: of the run.
    """

    def __init__(self, size: Sequence[int], gsd: Sequence[float], *, seed: int) -> None:
        self.height, self.width = size
        self.low, self.high = gsd
        self._seed = seed

    def __call__(
        self, picture: Array, mask: Array, valid: NDArray[np.bool_], *, gsd: float, draw: tuple[int, int]
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Cut one window; what lies beyond the picture's edge is its mirror image, truth included.

        Args:
            picture: uint8 (H, W, C).
            mask: uint8 (K, H, W).
            valid: bool (H, W).
            gsd: of the picture, in metres per pixel.
            draw: (epoch, place in its order), which with the seed fixes the draw.

        Returns:
            The same three in the size of the window.
        """
        random = np.random.default_rng([self._seed, *draw, 2])
        scale = self._scale(picture.shape[:2], gsd, random.random())
        spans = np.array([self.height, self.width]) * scale
        sides = np.array(picture.shape[:2])
        room = np.where(sides > spans, sides - spans, 0.3 * sides)
        top, left = sides / 2 + (random.random(2) - 0.5) * room - spans / 2
        before = np.maximum(np.ceil([-top, -left]), 0).astype(int)
        after = np.maximum(np.ceil([top + spans[0] - sides[0], left + spans[1] - sides[1]]), 0).astype(int)
        box = (left + before[1], top + before[0], left + before[1] + spans[1], top + before[0] + spans[0])
        border = [(before[0], after[0]), (before[1], after[1])]
        cut = [self._cut(band, box, border) for band in (*mask * 255, valid.astype(np.uint8) * 255)]
        *masks, seen = (band > 127 for band in cut)
        return self._cut(picture, box, [*border, (0, 0)]), np.stack(masks).astype(np.uint8), seen

    def _scale(self, sides: tuple[int, ...], gsd: float, draw: float) -> float:
        """Pixels of the picture for one of the window."""
        low = max(self.low / gsd, SHARPER)
        high = max(low, min(self.high / gsd, BEYOND * min(sides) / max(self.height, self.width)))
        return float(np.exp(np.log(low) + draw * (np.log(high) - np.log(low))))

    def _cut(self, pixels: Array, box: Box, border: list[tuple[int, int]]) -> Array:
        """Resample a box by an antialiased bilinear filter."""
        whole = np.pad(pixels, border, mode="symmetric") if any(map(any, border)) else pixels
        left, top, right, bottom = box
        box = (max(left, 0.0), max(top, 0.0), min(right, whole.shape[1]), min(bottom, whole.shape[0]))  # rounding
        return resize(whole, (self.height, self.width), Image.Resampling.BILINEAR, box)
