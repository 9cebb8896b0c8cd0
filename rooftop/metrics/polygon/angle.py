"""Max tangent angle error: how far predicted outlines turn away from true ones, and whether corners are cut.

Girard et al. 2021, "Polygonal Building Extraction by Frame Field Learning". The numbers are those of its
code; here polygons are taken as they are, while that code melts touching ones together first (see
`published`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Floats = NDArray[np.float64]

SPACING = 2.0  # pixels between samples of an outline
MAX_STRETCH = 2.0  # an edge that the projection makes longer or shorter than this tells nothing of angles
MIN_ON_TRUTH = 0.5  # share of a prediction's area on the truth, above which its angles count


def max_tangent_angles(said: Sequence[Polygon], true: Sequence[Polygon]) -> list[float]:
    """Measure each predicted polygon of a picture, of which more than half lies on the truth; degrees."""
    if not said or not true:
        return []
    ground, outlines = shapely.union_all(true), shapely.multilinestrings(_rings(true))
    on_truth = [p for p in said if p.intersection(ground).area > MIN_ON_TRUTH * p.area]
    angles = [max_tangent_angle(polygon, outlines) for polygon in on_truth]
    return [angle for angle in angles if not np.isnan(angle)]


def max_tangent_angle(polygon: Polygon, outlines: shapely.Geometry) -> float:
    """Measure the largest angle between a predicted outline and the true one next to it.

    The outline is sampled every 2 px, each sample is moved to the nearest point of the truth, and each edge
    between two samples is compared with its image. Edges that shrink or stretch to half or double are left
    out.

    Args:
        polygon: a predicted one.
        outlines: the true rings of its picture, as one geometry of lines.

    Returns:
        Degrees in [0, 90]; NaN if no edge can be compared.
    """
    cosines = np.concatenate([_cosines(ring, outlines) for ring in _rings([polygon])])
    return float(np.degrees(np.arccos(min(cosines.min(), 1.0)))) if cosines.size else float("nan")


def _rings(polygons: Sequence[Polygon]) -> list[shapely.LinearRing]:
    return [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]


def _cosines(ring: shapely.LinearRing, outlines: shapely.Geometry) -> Floats:
    """Compare the edges between samples with their images: |cosine| of each fair pair, float64 (n,)."""
    points = _sample(shapely.get_coordinates(ring))
    nearest = shapely.get_coordinates(shapely.shortest_line(shapely.points(points), outlines))[1::2]
    edges, images = np.diff(points, axis=0), np.diff(nearest, axis=0)
    lengths, image_lengths = np.linalg.norm(edges, axis=1), np.linalg.norm(images, axis=1)
    fair = (lengths < MAX_STRETCH * image_lengths) & (image_lengths < MAX_STRETCH * lengths)
    products = np.abs((edges[fair] * images[fair]).sum(axis=1))
    return np.asarray(products / (lengths * image_lengths)[fair], dtype=np.float64)


def _sample(corners: Floats) -> Floats:
    """Put points on each edge of a closed ring, about SPACING apart, its ends among them."""
    edges = np.diff(corners, axis=0)
    steps = np.maximum(1, np.rint(np.linalg.norm(edges, axis=1) / SPACING).astype(np.int64))
    edge = np.repeat(np.arange(len(edges)), steps)
    step = 1 + np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)  # 1, 2 ... along each edge
    inner = corners[:-1][edge] + edges[edge] * (step / steps[edge])[:, None]
    return np.concatenate([corners[:1], inner])
