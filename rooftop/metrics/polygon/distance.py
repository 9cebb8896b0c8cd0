"""Distances between outlines, and corners.

PoLiS: Avbelj et al. 2015, "A Metric for Polygon Comparison and Building Extraction Evaluation".
C-IoU: Zorzi et al. 2022, "PolyWorld: Polygonal Building Extraction with Graph Neural Networks in Satellite
Images".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Floats = NDArray[np.float64]


def ring_corners(polygon: Polygon) -> list[Floats]:
    """List the corners of each ring, outer one first, float64 (n, 2); the closing corner is not repeated."""
    return [shapely.get_coordinates(ring)[:-1] for ring in (polygon.exterior, *polygon.interiors)]


def corners(polygons: Sequence[Polygon]) -> int:
    """Count the corners of all rings, those of holes too."""
    return sum(len(ring) for polygon in polygons for ring in ring_corners(polygon))


def polis(one: Polygon, other: Polygon) -> float:
    """Average the distance of each one's corners from the other one's outline, both ways, in pixels.

    PoLiS(A, B) = 1/2q sum of d(a, outline of B) over the q corners a of A, plus 1/2r the same over the r
    corners of B. A ring's closing corner is its first one and counts once. Holes have corners and are
    outline too.
    """
    return (_mean_distance(one, other) + _mean_distance(other, one)) / 2


def hausdorff(one: Polygon, other: Polygon) -> float:
    """Measure the farthest that a point of either outline lies from the other outline, in pixels.

    Points are the corners and every twentieth of an edge.
    """
    return float(shapely.hausdorff_distance(one.boundary, other.boundary, densify=0.05))


def complexity_iou(iou: float, said: int, true: int) -> float:
    """Lower a picture's IoU by its relative difference in corners: C-IoU = IoU (1 - |n - m| / (n + m))."""
    return iou * (1 - abs(said - true) / (said + true)) if said + true else iou


def _mean_distance(one: Polygon, other: Polygon) -> float:
    points = shapely.points(np.concatenate(ring_corners(one)))
    return float(shapely.distance(points, other.boundary).mean())
