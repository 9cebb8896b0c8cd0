"""Roofs on the fine raster: height, slope towards the light, covering; all wings at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftop.towns.grid import Floats, Grid
from rooftop.towns.kinds import Building, Wing

KINDS = ("flat", "gable", "hip", "shed")
RIM, CURB = 0.35, 0.5  # metres: width and height of the wall around a flat roof
SHEET = 1.1  # metres: width of one sheet or strip of covering
TILT = 0.06  # how much a colour differs from sheet to sheet, times the grain of its surface


@dataclass(frozen=True)
class Painted:
    """What a layer puts on the raster, pixel by pixel of `at`.

    at: indices into the flat raster, int64 (N,). height: metres, float32 (N,). colour: float32 (N, 3), linear. normal:
    float32 (N, 2), rise of the surface along x and y.
    """

    at: NDArray[np.int64]
    height: Floats
    colour: Floats
    normal: Floats


def paint_wings(grid: Grid, wings: Sequence[tuple[Wing, Building]], textures: tuple[Floats, Floats]) -> Painted:
    """Draw one layer of wings; where two of one layer overlap, the later lies on top.

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
