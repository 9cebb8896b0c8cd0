"""Layers of a town on a raster finer than the picture, for smooth edges.

In order: the fine raster; roofs, with height, slope and covering; light of sun and sky, with cast shadows; the
sensor, from light to pixels with blur, haze, contrast and noise; crowns of trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from rooftop.raster.windows import Window
from rooftop.towns.look import Look
from rooftop.towns.town import Building, Points, Tree, Wing

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


KINDS = ("flat", "gable", "hip", "shed")
RIM, CURB = 0.35, 0.5  # metres: width and height of the wall around a flat roof
SHEET = 1.1  # metres: width of one sheet or strip of covering
TILT = 0.06  # how much a colour differs from sheet to sheet, times the grain of its surface


@dataclass(frozen=True)
class Painted:
    """Values of a layer at the pixels `at`.

    at: indices into the flat raster, int64 (N,). height: metres, float32 (N,). colour: float32 (N, 3), linear. normal:
    float32 (N, 2), rise of the surface along x and y.
    """

    at: NDArray[np.int64]
    height: Floats
    colour: Floats
    normal: Floats


def paint_wings(grid: Grid, wings: Sequence[tuple[Wing, Building]], textures: tuple[Floats, Floats]) -> Painted:
    """Draw one layer of wings; of two overlapping wings the later is on top.

    Args:
        grid: the fine raster.
        wings: each with its building.
        textures: fine and coarse noise, float32 (H, W).
    """
    ids = grid.draw([wing.outline for wing, _ in wings]).ravel()
    at = np.flatnonzero(ids)
    which = ids[at] - 1
    shape = np.array([(w.x, w.y, np.cos(w.angle), np.sin(w.angle), w.a, w.b, w.walls, w.pitch) for w, _ in wings])
    x, y, c, s, a, b, walls, pitch = shape.reshape(-1, 8).astype(np.float32)[which].T
    kind = np.array([KINDS.index(wing.kind) for wing, _ in wings], int)[which]
    row, column = np.divmod(at, grid.width)
    dx, dy = grid.xs[column] - x, grid.ys[row] - y
    u, v = dx * c + dy * s, dy * c - dx * s
    inside = (np.abs(u) <= a) & (np.abs(v) <= b)
    height, (along, across) = _surface(kind, (u, v), (a, b), pitch)
    normal = np.stack([along * c - across * s, along * s + across * c], axis=1)
    colour = _covering(wings, which, (u, v), kind, [texture.ravel()[at] for texture in textures])
    edge = np.where(kind == 0, np.minimum(a - np.abs(u), b - np.abs(v)) < RIM, (np.abs(v) < 0.2) & (kind != 3))
    colour *= np.where(edge, np.where(kind == 0, 1.12, 0.9), 1).astype(np.float32)[:, None]
    found = Painted(at, walls + height, colour, normal)
    return Painted(*(part[inside] for part in (found.at, found.height, found.colour, found.normal)))


def _surface(
    kind: NDArray[np.int64], place: tuple[Floats, Floats], half: tuple[Floats, Floats], pitch: Floats
) -> tuple[Floats, tuple[Floats, Floats]]:
    """Height above the eaves, and its rise along u and v."""
    (u, v), (a, b) = place, half
    from_side, from_end = b - np.abs(v), a - np.abs(u)
    is_end = (kind == 2) & (from_end < from_side)
    rise = np.select([kind == 0, kind == 3, is_end], [from_side * 0, v + b, from_end], from_side)
    curb = np.where((kind == 0) & (np.minimum(from_side, from_end) < RIM), np.float32(CURB), np.float32(0))
    along = np.where(is_end, -np.sign(u) * pitch, 0)
    across = np.select([(kind == 0) | is_end, kind == 3], [0 * v, pitch], -np.sign(v) * pitch)
    return rise * pitch + curb, (along.astype(np.float32), across.astype(np.float32))


def _covering(
    wings: Sequence[tuple[Wing, Building]],
    which: NDArray[np.int32],
    place: tuple[Floats, Floats],
    kind: NDArray[np.int64],
    textures: Sequence[Floats],
) -> Floats:
    """Colour of each pixel: sheets or courses, grain, stains."""
    looks = [building.surface for _, building in wings]
    table = np.array([(*s.colour, s.grain, s.patches, s.rows, s.contrast) for s in looks], np.float32).reshape(-1, 7)
    r, g, b, grain, patches, rows, contrast = table[which].T
    u, v = place
    stripes = np.where(rows > 0, contrast * np.sin(2 * np.pi * v / np.where(rows > 0, rows, 1)), 0)
    sheet = np.floor(u / SHEET).astype(np.int64)
    key = np.array([int(1000 * (wing.x + wing.y)) for wing, _ in wings], np.int64)[which]
    mottled = ((sheet * 7919 + key * 104729) % 251 / 125 - 1).astype(np.float32)  # a number a sheet, in [-1, 1]
    sides = np.where(kind == 0, 0, np.sign(v)) * 0.03  # weather comes from one side
    tone = 1 + textures[0] * grain + textures[1] * patches + stripes + mottled * TILT * (rows > 0) + sides
    coloured: Floats = np.stack([r, g, b], axis=1) * np.maximum(tone, 0.25)[:, None].astype(np.float32)
    return coloured


SKY = (0.86, 1.0, 1.22)  # colour of the light in the shade: blue


def shadows(height: Floats, step: float, look: Look) -> NDArray[np.bool_]:
    """Compute cast shadows.

    A point is in the shade if a ray towards the sun rises less over n pixels than the ground does. The maximum over
    all n up to a power of two is made of two maxima of half the length: a dozen comparisons for any length.

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


BLUR_REACH = 8  # pixels around a picture that its blurs look at
HALO = 1.2  # deviation in pixels of the blur that sharpening takes off


def expose(light: Floats, fine: int, window: Window, look: Look) -> NDArray[np.uint8]:
    """Light to a picture.

    Args:
        light: linear, float32 ((H + 2 r) * fine, (W + 2 r) * fine, 3) with r = `BLUR_REACH`.
        fine: fine pixels along one of the picture.
        window: position of the picture; seeds the noise, together with the look.
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


AROUND = np.linspace(0, 2 * np.pi, 14, endpoint=False)
CIRCLE = np.stack([np.cos(AROUND), np.sin(AROUND)], axis=1)
RAGGED, ROUGH = 0.16, 0.22  # how far the noise moves the edge, and how much it darkens


def paint_trees(grid: Grid, trees: Sequence[Tree], textures: tuple[Floats, Floats]) -> Painted:
    """Draw all crowns; see `paint_wings`."""
    ids = grid.draw([CIRCLE * (1.2 * tree.radius) + (tree.x, tree.y) for tree in trees]).ravel()
    at = np.flatnonzero(ids)
    table = np.array([(t.x, t.y, t.radius, t.height, *t.colour) for t in trees], np.float32).reshape(-1, 7)
    x, y, radius, height, *colour = table[ids[at] - 1].T
    row, column = np.divmod(at, grid.width)
    u, v = (grid.xs[column] - x) / radius, (grid.ys[row] - y) / radius
    rough = textures[0].ravel()[at]
    far = u * u + v * v + RAGGED * rough + 0.15 * np.sin(5 * np.arctan2(v, u) + radius * 9)
    inside = far < 1
    dome = np.sqrt(np.maximum(1 - far, 0))
    rise = -(height / radius * 0.45 / np.maximum(dome, 0.45))
    normal = np.stack([rise * u + 0.3 * rough, rise * v - 0.3 * rough], axis=1).astype(np.float32)
    tone = np.maximum(1 + ROUGH * rough - 0.25 * (1 - dome), 0.3)
    painted = np.stack(colour, axis=1) * tone[:, None]
    tall = height * (0.45 + 0.55 * dome) + 0.4 * rough
    return Painted(*(part[inside] for part in (at, tall.astype(np.float32), painted.astype(np.float32), normal)))
