"""Crowns on the fine raster: lumpy domes."""

from collections.abc import Sequence

import numpy as np

from rooftop.towns.grid import Floats, Grid
from rooftop.towns.kinds import Tree
from rooftop.towns.roofs import Painted

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
