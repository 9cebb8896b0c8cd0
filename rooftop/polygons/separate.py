"""Separation of touching roofs: a watershed on the distance to the outline, or on predicted cores of roofs.

Each pixel climbs to the summit above it; pixels with one summit are a basin. `rooftop.polygons.regions` decides which
basins are one roof.

The distance is the mean over several nested masks at rising thresholds: in a less certain seam, the higher ones
separate long before the outline does. If the network predicts cores of roofs, these replace the distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rooftop.polygons.regions import Join, Regions, by_ratio, climbed, measure

_SLOPE = 0.01  # of a pixel of depth beside a core of 1, so that nothing is flat where a network predicts 0
_NEIGHBOURS = ((0, 1), (1, 0), (1, 2), (2, 1))  # offsets into an array padded by one
Basins = NDArray[np.int64]
Heights = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """What the watershed of a mask needs.

    Attributes:
        mask: uint8 (H, W), 1 = roof.
        height: float64 (H, W), smoothed, to climb on.
        depth: float64 (H, W) in pixels, mean distance to the outline of the mask and of its surer parts.
        values: uint8 (2, H, W), stored probabilities of roof and of core.
    """

    mask: NDArray[np.uint8]
    height: Heights
    depth: Heights
    values: NDArray[np.uint8]


def separate(mask: NDArray[np.uint8], *, ratio: float, surer: Sequence[NDArray[np.uint8]] = ()) -> NDArray[np.int32]:
    """Label the roofs of a mask, touching ones separately.

    Args:
        mask: uint8 (H, W), 1 = roof.
        ratio: in (0, 1]: parts stay one roof if their neck is wider than this share of the smaller part's width.
        surer: masks at higher thresholds, parts of `mask`, if known.

    Returns:
        int32 (H, W), 0 = background, 1 ... N in reading order; each label is 4-connected.
    """
    return labelled(by_depth(mask, surer, np.zeros((2, *mask.shape), np.uint8)), partial(by_ratio, ratio=ratio))


def by_depth(mask: NDArray[np.uint8], surer: Sequence[NDArray[np.uint8]], values: NDArray[np.uint8]) -> Surface:
    """Climb on the mean distance to the outline of a mask and of its surer parts.

    Args:
        mask: uint8 (H, W), 1 = roof.
        surer: parts of it at higher thresholds, uint8 (H, W).
        values: as in `Surface`.
    """
    depth = np.mean([_depth(part) for part in (mask, *surer)], axis=0)
    return Surface(mask, _smoothed(depth), depth, values)


def by_core(
    mask: NDArray[np.uint8],
    core: NDArray[np.float32],
    values: NDArray[np.uint8],
    *,
    surer: Sequence[NDArray[np.uint8]] = (),
    scale: float = 1.0,
) -> Surface:
    """Climb on the predicted cores of roofs.

    Args:
        mask: uint8 (H, W), 1 = roof.
        core: float32 (H, W) in [0, 1]; ignored outside the mask.
        values: as in `Surface`.
        surer: as for `by_depth`.
        scale: number of pixels that are as wide as one pixel of the training.
    """
    depths = [_depth(part) for part in (mask, *surer)]
    height = core * (mask > 0) + _SLOPE / scale * depths[0]
    return Surface(mask, _smoothed(height, scale), np.mean(depths, axis=0), values)


def _smoothed(height: Heights, scale: float = 1.0) -> Heights:
    """Take the ripples of a stepped outline away."""
    smoothed: Heights = ndimage.gaussian_filter(height, max(1.0, scale), mode="constant")
    return smoothed


def _depth(mask: NDArray[np.uint8]) -> Heights:
    depth: Heights = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return depth


def labelled(surface: Surface, join: Join) -> NDArray[np.int32]:
    """Label the roofs of a mask: the basins of its surface, joined."""
    names, inside = basins(surface), surface.mask > 0
    regions = measured(surface, names)
    return _numbered(join(regions)[np.searchsorted(regions.names, names[inside])], inside)


def measured(surface: Surface, names: Basins) -> Regions:
    """Measure the basins of a mask; `names` as `basins` returns them."""
    summits = surface.height.ravel()[names]
    return measure(names, surface.height, surface.depth, surface.values, summits, names.shape)


def basins(surface: Surface) -> Basins:
    """Return the flat index of each pixel's summit, int64 (H, W); -1 outside the mask."""
    inside = surface.mask > 0
    return np.where(inside, _basins(np.where(inside, surface.height, -1.0)), -1)


def _basins(height: NDArray[np.float64]) -> Basins:
    """For each pixel the flat index of the summit it climbs to, from neighbour to highest neighbour."""
    rows, columns = height.shape
    index = np.arange(height.size).reshape(height.shape)
    around, names = np.pad(height, 1, constant_values=-1.0), np.pad(index, 1)
    best, up = height.copy(), index.copy()
    for down, right in _NEIGHBOURS:
        part = slice(down, down + rows), slice(right, right + columns)
        higher = around[part] > best
        best[higher], up[higher] = around[part][higher], names[part][higher]
    return climbed(up.ravel()).reshape(height.shape)


def _numbered(roofs: Basins, inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """1 ... N in the order of each roof's first pixel; roofs int64 (n,), of the pixels inside."""
    names, first, index = np.unique(roofs, return_index=True, return_inverse=True)
    number = np.empty(len(names), np.int32)
    number[np.argsort(first)] = np.arange(1, len(names) + 1)
    result = np.zeros(inside.shape, np.int32)
    result[inside] = number[index]
    return result
