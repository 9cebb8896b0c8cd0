"""Scores of outlines: boundary IoU, and boundary F1 within some pixels.

Boundary IoU is the IoU of the two bands inside the outlines, d = 2 % of the picture's diagonal wide. As in the
authors' code, the picture's edge bounds a cut roof. Cheng et al. 2021, "Boundary IoU:
Improving Object-Centric Image Segmentation Evaluation".

Boundary F1 combines the shares of outline pixels within t pixels (Euclidean) of the other outline. Here the
picture's edge is no outline: matching it is no merit. Martin et al. 2004; for
masks Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from rooftop.metrics.pixel import Counts, Floats, Whole, count, divide

TOLERANCES = (1, 2, 3)  # pixels

Bools = NDArray[np.bool_]


def band_width(height: int, width: int) -> int:
    """Give d in pixels for a picture: 2 % of its diagonal, rounded half to even, at least 1."""
    return max(1, round(0.02 * math.hypot(height, width)))


def band(mask: NDArray[Any], distance: int) -> Bools:
    """Keep the pixels of `mask` at most `distance` (chessboard) pixels from its outside.

    Args:
        mask: bool or uint8 (..., H, W), 1 = roof. Beyond the picture is outside.
        distance: pixels, at least 1.
    """
    solid = mask.astype(bool, copy=False)
    square = (1,) * (mask.ndim - 2) + (2 * distance + 1,) * 2
    core = minimum_filter(solid.astype(np.uint8), size=square, mode="constant", cval=0)
    return np.asarray(solid & (core == 0))


def count_band(prediction: NDArray[Any], mask: NDArray[Any], valid: Bools | None = None) -> Counts:
    """Count the pixels of both bands, like `pixel.count`: `ratios(counts)["iou"]` is the boundary IoU."""
    distance = band_width(*mask.shape[-2:])
    return count(band(prediction, distance), band(mask, distance), valid)


@dataclass(frozen=True)
class OutlineCounts:
    """Numbers of outline pixels, predicted and true, in all and near the other outline.

    Ints or int64 arrays, added with `+`; the last axis of `said_near` and `true_near` is the tolerance.
    """

    said: Whole = 0
    true: Whole = 0
    said_near: Whole = 0
    true_near: Whole = 0

    def __add__(self, other: OutlineCounts) -> OutlineCounts:
        """Add, as if both pictures had been counted in one go."""
        return OutlineCounts(
            self.said + other.said,
            self.true + other.true,
            self.said_near + other.said_near,
            self.true_near + other.true_near,
        )


def outline(mask: NDArray[Any]) -> Bools:
    """Keep the pixels of `mask`, (H, W), with an outside pixel to the left, right, above or below."""
    solid: Bools = mask.astype(bool, copy=False)
    core = solid.copy()
    core[1:] &= solid[:-1]
    core[:-1] &= solid[1:]
    core[:, 1:] &= solid[:, :-1]
    core[:, :-1] &= solid[:, 1:]
    edge: Bools = solid & ~core
    return edge


def count_outlines(prediction: NDArray[Any], mask: NDArray[Any], valid: Bools | None = None) -> OutlineCounts:
    """Count outline pixels near the other outline, for each of TOLERANCES.

    Args:
        prediction: bool or uint8 (H, W), 1 = roof.
        mask: the truth, in the same shape.
        valid: bool (H, W), False for outline pixels not judged; None: all are judged.
    """
    judged = np.ones(mask.shape, dtype=bool) if valid is None else valid
    said, true = outline(prediction), outline(mask)
    said_distance = _distances(np.argwhere(said & judged), np.argwhere(true))
    true_distance = _distances(np.argwhere(true & judged), np.argwhere(said))
    return OutlineCounts(len(said_distance), len(true_distance), _near(said_distance), _near(true_distance))


def outline_f1(counts: OutlineCounts) -> Floats:
    """Divide: boundary F1 at each of TOLERANCES, float64 in [0, 1]; 1 if neither has an outline."""
    said, true = (np.asarray(n, dtype=np.float64)[..., None] for n in (counts.said, counts.true))
    said_near, true_near = (np.asarray(n, dtype=np.float64) for n in (counts.said_near, counts.true_near))
    none, shape = np.zeros_like(said_near), said_near.shape
    precision = divide(said_near, np.broadcast_to(said, shape), none)
    recall = divide(true_near, np.broadcast_to(true, shape), none)
    both_empty = np.broadcast_to(np.where(said + true == 0, 1.0, 0.0), shape)
    return divide(2 * precision * recall, precision + recall, both_empty)


def _distances(points: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
    reach = max(TOLERANCES) + 0.5  # farther ones come back as infinity, which is as good and faster
    return np.asarray(cKDTree(others).query(points, distance_upper_bound=reach)[0], dtype=np.float64)


def _near(distances: Floats) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(distances <= t) for t in TOLERANCES], dtype=np.int64)
