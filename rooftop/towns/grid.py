"""The fine raster on which a town is drawn, finer than the picture so that edges come out smooth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rooftop.towns.kinds import Points

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]
_TILE, _TEXEL = 512, 0.25  # side of the noise in texels, metres of one


@dataclass(frozen=True)
class Grid:
    """Fine pixels over a rectangle of the ground.

    x, y: upper left corner, metres in the world frame. width, height: in fine pixels. step: metres of one.
    """

    x: float
    y: float
    width: int
    height: int
    step: float

    @cached_property
    def xs(self) -> Floats:
        """Middle of each column, metres."""
        return ((np.arange(self.width) + 0.5) * self.step + self.x).astype(np.float32)

    @cached_property
    def ys(self) -> Floats:
        """Middle of each row, metres."""
        return ((np.arange(self.height) + 0.5) * self.step + self.y).astype(np.float32)

    def draw(self, outlines: Sequence[Points]) -> Ids:
        """Number (from 1) of the last outline over each fine pixel, 0 = none: int32 (H, W)."""
        image = Image.new("I", (self.width, self.height))
        if not outlines:
            return np.asarray(image)
        pen = ImageDraw.Draw(image)
        ends = np.cumsum([len(outline) for outline in outlines])
        starts = np.concatenate([[0], ends[:-1]])
        # whole numbers, rounded down: the pen would cut towards 0, which is another side beyond the edge
        corners = np.floor((np.concatenate(outlines) - (self.x, self.y)) / self.step + 1e-6)
        low, high = np.minimum.reduceat(corners, starts), np.maximum.reduceat(corners, starts)
        seen = (high >= 0).all(axis=1) & (low < (self.width, self.height)).all(axis=1)
        for i in np.flatnonzero(seen).tolist():
            pen.polygon(corners[starts[i] : ends[i]].ravel().tolist(), fill=i + 1)
        return np.asarray(image)

    def noise(self, octave: float, offset: tuple[int, int]) -> Floats:
        """Texture of the ground, mean 0 and deviation 1; larger octaves are coarser: float32 (H, W)."""
        tile = _noise(octave > 1)
        rows = (np.floor(self.ys / (_TEXEL * octave)).astype(np.int64) + offset[0]) % _TILE
        columns = (np.floor(self.xs / (_TEXEL * octave)).astype(np.int64) + offset[1]) % _TILE
        found: Floats = tile[rows][:, columns]
        return found


@lru_cache(2)
def _noise(soft: bool) -> Floats:
    """Noise that repeats without a seam; soft: with little fine detail (power falls with frequency)."""
    waves = np.fft.rfft2(np.random.default_rng(20).standard_normal((_TILE, _TILE)))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])
    frequency[0, 0] = np.inf
    tile = np.fft.irfft2(waves / frequency ** (1.5 if soft else 0.6), (_TILE, _TILE))
    found: Floats = (tile / tile.std()).astype(np.float32)
    return found
