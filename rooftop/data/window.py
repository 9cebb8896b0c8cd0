"""Training windows: fixed size in pixels, cut out of pictures at a random ground sampling distance.

Sensors differ in metres per pixel; roofs do not. Drawing metres per pixel instead of a factor gives pictures of
every source the same range: one network serves all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.raster.picture import Box, resize

Array = NDArray[np.uint8]
_TRUTH = Image.Resampling.BILINEAR  # the filter of masks, which then take the larger half
SHARPER = 0.55  # a picture is magnified to this share of its own sampling distance at most
BEYOND = 1.6  # a window is this many times as long as the picture's shorter side at most; the rest is mirrored
# Share of windows that are not resampled, as pictures are not when they are predicted: a network that has seen nothing
# but resampled ones learns the blur, and misreads sharper pictures (benchmarks/RECIPES.md, part 14).
AS_THEY_ARE = 0.3


class Window:
    """Cuts windows: some at the picture's own pixels, the others resampled.

    Args:
        size: (height, width) of the window in pixels.
        gsd: lowest and highest ground sampling distance in metres per pixel; drawn evenly on a logarithmic scale.
        seed: of the run.
        filters: box, bilinear, hamming, bicubic or lanczos, antialiased; each resampled window draws one. Truth is
            resampled by the bilinear one.
    """

    def __init__(
        self, size: Sequence[int], gsd: Sequence[float], *, seed: int, filters: Sequence[str] = ("bilinear",)
    ) -> None:
        self.height, self.width = size
        self.low, self.high = gsd
        self._seed = seed
        self._filters = [Image.Resampling[name.upper()] for name in filters]

    def __call__(
        self, picture: Array, mask: Array, valid: NDArray[np.bool_], *, gsd: float, draw: tuple[int, int]
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Cut one window; beyond the picture's edge, picture and truth are mirrored.

        Args:
            picture: uint8 (H, W, C).
            mask: uint8 (K, H, W).
            valid: bool (H, W).
            gsd: of the picture, in metres per pixel.
            draw: (epoch, position in its order); fixes the draw, together with the seed.

        Returns:
            Picture, mask and valid in the size of the window.
        """
        random = np.random.default_rng([self._seed, *draw, 2])
        drawn, position, share = random.random(), random.random(2), random.random()
        resampling = self._filters[random.integers(len(self._filters))]
        native = share < AS_THEY_ARE and self._may_stay(picture.shape[:2], gsd)
        scale = 1.0 if native else self._scale(picture.shape[:2], gsd, drawn)
        # in pixels of the picture: spans of the window, sides, room to move, top, left; each (vertical, horizontal)
        spans = np.array([self.height, self.width]) * scale
        sides = np.array(picture.shape[:2])
        room = np.where(sides > spans, sides - spans, 0.3 * sides)
        top, left = sides / 2 + (position - 0.5) * room - spans / 2
        if native:
            top, left = np.floor([top, left])
        # padding around the picture, for windows beyond its edge
        before = np.maximum(np.ceil([-top, -left]), 0).astype(int)
        after = np.maximum(np.ceil([top + spans[0] - sides[0], left + spans[1] - sides[1]]), 0).astype(int)
        # the window in pixels of the padded picture
        box = (left + before[1], top + before[0], left + before[1] + spans[1], top + before[0] + spans[0])
        border = [(before[0], after[0]), (before[1], after[1])]
        truth = [self._cut(band * 255, box, border, _TRUTH) > 127 for band in mask]
        seen = np.ones((self.height, self.width), bool)
        if not valid.all():
            seen = self._cut(valid.astype(np.uint8) * 255, box, border, _TRUTH) > 127
        return self._cut(picture, box, [*border, (0, 0)], resampling), np.stack(truth).astype(np.uint8), seen

    def _may_stay(self, sides: tuple[int, ...], gsd: float) -> bool:
        """Report whether the picture's own pixels are within the range, and enough for a window."""
        return self.low <= gsd <= self.high and max(self.height, self.width) <= BEYOND * min(sides)

    def _scale(self, sides: tuple[int, ...], gsd: float, draw: float) -> float:
        """Return the scale: pixels of the picture per pixel of the window."""
        low = max(self.low / gsd, SHARPER)
        high = max(low, min(self.high / gsd, BEYOND * min(sides) / max(self.height, self.width)))
        return float(np.exp(np.log(low) + draw * (np.log(high) - np.log(low))))

    def _cut(self, pixels: Array, box: Box, border: list[tuple[int, int]], resampling: Image.Resampling) -> Array:
        """Pad by mirroring, then resample a box of the padded picture to the size of the window, antialiased."""
        padded = np.pad(pixels, border, mode="symmetric") if any(map(any, border)) else pixels
        left, top, right, bottom = box
        box = (max(left, 0.0), max(top, 0.0), min(right, padded.shape[1]), min(bottom, padded.shape[0]))  # rounding
        return resize(padded, (self.height, self.width), resampling, box)
