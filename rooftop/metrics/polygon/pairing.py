"""Which predicted polygon stands for which true one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

MIN_IOU = 0.5


def pair(said: Sequence[Polygon], true: Sequence[Polygon]) -> list[tuple[int, int]]:
    """Pair polygons of IoU at least a half, each at most once, the best pairs first: places in `said`, `true`."""
    overlap = iou_matrix(said, true)
    best_first = np.argsort(-overlap, axis=None, kind="stable")[: np.count_nonzero(overlap >= MIN_IOU)]
    pairs: list[tuple[int, int]] = []
    for i, j in zip(*np.unravel_index(best_first, overlap.shape), strict=True):
        if all(i != a and j != b for a, b in pairs):
            pairs.append((int(i), int(j)))
    return pairs


def iou_matrix(said: Sequence[Polygon], true: Sequence[Polygon]) -> NDArray[np.float64]:
    """Divide intersection by union, polygon by polygon; float64 (len(said), len(true))."""
    overlap = np.zeros((len(said), len(true)))
    if not overlap.size:
        return overlap
    a, b = np.array(said, dtype=object), np.array(true, dtype=object)
    i, j = shapely.STRtree(b).query(a, predicate="intersects")
    both = shapely.area(shapely.intersection(a[i], b[j]))
    overlap[i, j] = both / (shapely.area(a[i]) + shapely.area(b[j]) - both)
    return overlap


def holes(polygons: Sequence[Polygon]) -> list[Polygon]:
    """List the holes of all polygons, as polygons."""
    return [Polygon(ring) for polygon in polygons for ring in polygon.interiors]
