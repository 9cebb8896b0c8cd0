"""A town as a camera sees it from above: ground, roofs, things and trees; light and shadow; the sensor."""

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.windows import Window
from rooftop.towns.layers import BLUR_REACH, Floats, Grid, Ids, Painted, expose, lit, paint_trees, paint_wings, shadows
from rooftop.towns.look import Look
from rooftop.towns.town import Surface, Town

FINE = 2  # fine pixels along one of the picture
RAGGED = 0.22  # metres by which borders on the ground are moved


def render(town: Town, window: Window, *, gsd: float, look: Look) -> NDArray[np.uint8]:
    """A picture of a window of a town; neighbouring windows fit together without a seam.

    Args:
        town: the plan.
        window: in pixels of a picture of the whole town at this gsd.
        gsd: metres per pixel.
        look: light, air and sensor.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    step = gsd / FINE
    tallest = max((tree.height for tree in town.trees), default=0.0)
    tallest = max([tallest, *(w.walls + w.pitch * w.b + 2.5 for b in town.buildings for w in b.wings)])
    reach = look.towards_sun * tallest / look.climb  # metres from where shadows may come
    low, high = np.minimum(reach, 0) / gsd - BLUR_REACH, np.maximum(reach, 0) / gsd + BLUR_REACH
    before, after = np.floor(low).astype(int), np.ceil(high).astype(int)
    left, top = window.column + before[0], window.row + before[1]
    width, height = window.width + after[0] - before[0], window.height + after[1] - before[1]
    grid = Grid(left * gsd, top * gsd, int(width * FINE), int(height * FINE), step)
    rows = slice(FINE * (-before[1] - BLUR_REACH), FINE * (-before[1] + window.height + BLUR_REACH))
    columns = slice(FINE * (-before[0] - BLUR_REACH), FINE * (-before[0] + window.width + BLUR_REACH))
    colour, normal, shade = draw(town, grid, look)
    light = lit(colour[rows, columns], normal[rows, columns], shade[rows, columns], look)
    return expose(light, FINE, window, look)


def draw(town: Town, grid: Grid, look: Look) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Everything but the light.

    Returns:
        reflectance, linear float32 (H, W, 3); rise along x and y, float32 (H, W, 2); shadow, bool (H, W).
    """
    textures = grid.noise(1, look.offsets[0]), grid.noise(8, look.offsets[1])
    colour = ground(town, grid, textures).reshape(-1, 3)
    height, normal = np.zeros(len(colour), np.float32), np.zeros((len(colour), 2), np.float32)
    for layer in (0, 1):
        wings = [(b.wings[layer], b) for b in town.buildings if len(b.wings) > layer]
        _put(paint_wings(grid, wings, textures), height, colour, normal)
    _stand(town, grid, height, colour)
    _put(paint_trees(grid, town.trees, textures), height, colour, normal)
    shade = shadows(height.reshape(grid.height, grid.width), grid.step, look)
    return colour.reshape(*shade.shape, 3), normal.reshape(*shade.shape, 2), shade


def ground(town: Town, grid: Grid, textures: tuple[Floats, Floats]) -> Floats:
    """Reflectance of the bare ground: float32 (H, W, 3)."""
    ids = _ragged(grid.draw([area.outline for area in town.areas]), textures, grid.step)
    looks = [(town.base, 0.0), *((area.surface, area.angle) for area in town.areas)]
    table = np.array([_row(surface, angle) for surface, angle in looks], np.float32)
    tone = 1 + table[:, 3][ids] * textures[0] + table[:, 4][ids] * textures[1]
    striped = np.flatnonzero(table[:, 7][ids.ravel()])
    if striped.size:
        row, column = np.divmod(striped, grid.width)
        fx, fy, contrast = table[ids.ravel()[striped]][:, 5:8].T
        tone.ravel()[striped] += contrast * np.sin(grid.xs[column] * fx + grid.ys[row] * fy)
    painted: Floats = table[:, :3][ids] * np.maximum(tone, 0.2)[..., None]
    return painted


def _ragged(ids: Ids, textures: tuple[Floats, Floats], step: float) -> Ids:
    """Move the borders of areas a little by the textures, like borders of grass and soil."""
    height, width = ids.shape
    by = (RAGGED / step * (textures[0] + 0.5 * textures[1])).astype(np.int32)
    rows, columns = np.arange(height)[:, None] + by, np.arange(width) - by
    moved: Ids = ids[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return moved


def _row(surface: Surface, angle: float) -> tuple[float, ...]:
    waves = 2 * np.pi / surface.rows if surface.rows else 0.0
    tones = (surface.grain, surface.patches, waves * np.cos(angle), waves * np.sin(angle))
    return (*surface.colour, *tones, surface.contrast if surface.rows else 0.0)


def _put(layer: Painted, height: Floats, colour: Floats, normal: Floats) -> None:
    """Put a layer on the raster; higher values win."""
    above = layer.height > height[layer.at]
    at = layer.at[above]
    height[at], colour[at], normal[at] = layer.height[above], layer.colour[above], layer.normal[above]


def _stand(town: Town, grid: Grid, height: Floats, colour: Floats) -> None:
    """Cars, chimneys, panels: on the surface below them."""
    ids = grid.draw([thing.outline for thing in town.things]).ravel()
    at = np.flatnonzero(ids)
    if at.size:
        which = ids[at] - 1
        height[at] += np.array([thing.height for thing in town.things], np.float32)[which]
        colour[at] = np.array([thing.colour for thing in town.things], np.float32)[which]
