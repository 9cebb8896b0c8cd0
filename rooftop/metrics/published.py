"""Polygon scores as published code computes them: to reproduce a paper's number and explain the difference.

hisup   HiSup (SarahwXU/HiSup, hisup/utils/metrics, 2022); Pix2Poly and PixelsPointsPolygons share its PoLiS.
        PoLiS divides by 2 (n + 1) instead of 2 n, 20 % too low for four corners; uses outer rings only; pairs each
        true polygon with the prediction of highest IoU of *boxes*, if above 0.5, even if already paired; averages
        the averages of pictures without the zeros.
        C-IoU counts corners of outer rings only and leaves out pictures without predictions.
ffl     Girard et al. 2021 (Lydorn/Polygonization-by-Frame-Field-Learning, eval_coco.py).
        Max tangent angle error first merges the polygons of a picture, true ones 0.0001 px wider.
        AP leaves out pictures without predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely import Polygon

from rooftop.metrics.polygons import Floats, complexity_iou, max_tangent_angles


def hisup_polis(said: Sequence[Polygon], true: Sequence[Polygon]) -> float:
    """Average PoLiS over the true polygons of one picture; 0 without a pair; the mean leaves out 0."""
    if not said or not true:
        return 0.0
    overlap = _box_iou(shapely.bounds(said), shapely.bounds(true))
    best = overlap.argmax(axis=0)
    values = [_short_polis(said[i], true[j]) for j, i in enumerate(best) if overlap[i, j] > 0.5]
    return sum(values) / len(values) if values else 0.0


def hisup_complexity_iou(said: Sequence[Polygon], true: Sequence[Polygon], *, iou: float) -> float:
    """Lower the IoU by the difference in corners of outer rings; NaN without predictions; the mean skips NaN."""
    outer = [sum(len(p.exterior.coords) - 1 for p in polygons) for polygons in (said, true)]
    return complexity_iou(iou, *outer) if said else float("nan")


def ffl_angles(said: Sequence[Polygon], true: Sequence[Polygon]) -> list[float]:
    """Measure the max tangent angle of each melted predicted polygon of one picture, in degrees."""
    return max_tangent_angles(_melted(said, 0.0), _melted(true, 0.0001))


def _short_polis(one: Polygon, other: Polygon) -> float:
    sides = ((one.exterior, other.exterior), (other.exterior, one.exterior))
    # shapely repeats the first corner at the end of `coords`: n + 1
    return float(sum(_distances(ring, outline).sum() / (2 * len(ring.coords)) for ring, outline in sides))


def _distances(ring: shapely.LinearRing, outline: shapely.LinearRing) -> Floats:
    points = shapely.points(shapely.get_coordinates(ring)[:-1])
    return np.asarray(shapely.distance(points, outline), dtype=np.float64)


def _box_iou(one: Floats, other: Floats) -> Floats:
    """Divide intersection by union of boxes (n, 4) and (m, 4), left, top, right, bottom; (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return np.asarray(both / (areas[0][:, None] + areas[1][None] - both))


def _melted(polygons: Sequence[Polygon], margin: float) -> list[Polygon]:
    parts = shapely.get_parts(shapely.union_all(list(polygons)).buffer(margin))
    return [part for part in parts if isinstance(part, Polygon)]
