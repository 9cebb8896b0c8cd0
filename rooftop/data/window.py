"""Training windows: fixed size in pixels, cut out of pictures at a random ground sampling distance.

Sensors differ in metres per pixel; roofs do not. Drawing metres per pixel instead of a factor gives pictures of
every source the same range: one network serves all.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from rooftop.raster.picture import magnify, mirror, resize

Array = NDArray[np.uint8]
SHARPER = 0.55  # a picture is magnified to this share of its own sampling distance at most
BEYOND = 1.6  # a window is this many times as long as the picture's shorter side at most; the rest is mirrored
# Share of windows that are not resampled, as pictures are not when they are predicted: a network that has seen nothing
# but resampled ones learns the blur, and misreads sharper pictures (benchmarks/RECIPES.md, part 14).
AS_THEY_ARE = 0.3


class Span(NamedTuple):
    """A window along one side of a picture, in whole pixels.

    first, last: of the picture, where the window covers it. before, inside, after: of the window, in front of the
    picture, on it and behind it.
    """

    first: int
    last: int
    before: int
    inside: int
    after: int

    @classmethod
    def of(cls, size: int, length: float, start: float, side: int) -> "Span":
        """Place a window of `size` pixels over `length` pixels of a picture's `side`, from `start` on."""
        length, start = max(round(length), 1), int(np.floor(start))
        first, last = max(start, 0), min(start + length, side)
        before, end = (round((at - start) * size / length) for at in (first, last))
        return cls(first, last, before, end - before, size - end)


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
        self._filters = list(filters)

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
        spans = []
        for size, side, share in zip((self.height, self.width), picture.shape[:2], position, strict=True):
            length = size * scale
            room = side - length if side > length else 0.3 * side
            spans.append(Span.of(size, length, side / 2 + (share - 0.5) * room - length / 2, side))
        truth = np.stack([_cut_truth(channel, spans) for channel in mask])
        if valid.strides == (0, 0) or valid.all():  # one value for all, or each of them
            seen = np.broadcast_to(valid[:1, :1], (self.height, self.width))
        else:
            seen = _cut_truth(valid.view(np.uint8), spans).view(np.bool_)
        return _fitted(_under(picture, spans), spans, resampling), truth, seen

    def _may_stay(self, sides: tuple[int, ...], gsd: float) -> bool:
        """Report whether the picture's own pixels are within the range, and enough for a window."""
        return self.low <= gsd <= self.high and max(self.height, self.width) <= BEYOND * min(sides)

    def _scale(self, sides: tuple[int, ...], gsd: float, draw: float) -> float:
        """Return the scale: pixels of the picture per pixel of the window."""
        low = max(self.low / gsd, SHARPER)
        high = max(low, min(self.high / gsd, BEYOND * min(sides) / max(self.height, self.width)))
        return float(np.exp(np.log(low) + draw * (np.log(high) - np.log(low))))


def _cut_truth(channel: Array, spans: Sequence[Span]) -> Array:
    """Cut a channel of 0 and 1, uint8 (H, W); values in between take the nearer one."""
    return (_fitted(_under(channel, spans) * 255, spans, "bilinear") > 127).view(np.uint8)  # 255: room to interpolate


def _under(pixels: Array, spans: Sequence[Span]) -> Array:
    """Return the part of a picture (H, W, ...) under a window."""
    rows, columns = spans
    return pixels[rows.first : rows.last, columns.first : columns.last]


def _fitted(part: Array, spans: Sequence[Span], resampling: str) -> Array:
    """Resample the part of a picture under a window, antialiased, and mirror it at the picture's edges."""
    rows, columns = spans
    size = rows.inside, columns.inside
    fitted = part if part.shape[:2] == size else resample(part, size, resampling)
    return mirror(fitted, (rows.before, rows.after, columns.before, columns.after))


def resample(pixels: Array, size: tuple[int, int], resampling: str) -> Array:
    """Resample uint8 (H, W) or (H, W, C) to (height, width) = `size`.

    PyTorch gives Pillow's pixels, one grey level more or less, in a quarter of the time; OpenCV magnifies in a tenth.

    Args:
        pixels: grey or of any number of bands.
        size: in pixels.
        resampling: box, bilinear, hamming, bicubic or lanczos, antialiased.
    """
    if resampling == "bilinear" and size[0] >= pixels.shape[0] and size[1] >= pixels.shape[1]:
        return magnify(pixels, size)
    if not _is_known_to_torch(resampling):
        return resize(pixels, size, Image.Resampling[resampling.upper()])
    bands = torch.from_numpy(np.ascontiguousarray(pixels)).reshape(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
    resampled = F.interpolate(bands, size, mode=resampling, antialias=True)
    return resampled.permute(0, 2, 3, 1).numpy().reshape(*size, *pixels.shape[2:])


@cache
def _is_known_to_torch(resampling: str) -> bool:
    """Ask this version of PyTorch; box and hamming are known to none."""
    try:
        F.interpolate(torch.zeros((1, 1, 2, 2), dtype=torch.uint8), (1, 1), mode=resampling, antialias=True)
    except (NotImplementedError, ValueError):
        return False
    return True
