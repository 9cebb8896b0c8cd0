"""Scores of polygons: corners, outlines, angles, holes, number.

Polygons are shapely's, valid, in the pixel frame, holes kept; distances are in pixels, angles in degrees.

In order: max tangent angle error (Girard et al. 2021); pairs of predicted and true polygons; PoLiS (Avbelj et al.
2015), Hausdorff, corners, C-IoU (Zorzi et al. 2022); sums per picture, and scores of a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.metrics.pixel import Counts, ratios

Floats = NDArray[np.float64]

SPACING = 2.0  # pixels between samples of an outline
MAX_STRETCH = 2.0  # an edge that the projection makes longer or shorter than this tells nothing of angles
MIN_ON_TRUTH = 0.5  # share of a prediction's area on the truth, above which its angles count


def max_tangent_angles(said: Sequence[Polygon], true: Sequence[Polygon]) -> list[float]:
    """Measure each predicted polygon with more than half of its area on the truth; degrees."""
    if not said or not true:
        return []
    ground, outlines = shapely.union_all(true), shapely.multilinestrings(_rings(true))
    on_truth = [p for p in said if p.intersection(ground).area > MIN_ON_TRUTH * p.area]
    angles = [max_tangent_angle(polygon, outlines) for polygon in on_truth]
    return [angle for angle in angles if not np.isnan(angle)]


def max_tangent_angle(polygon: Polygon, outlines: shapely.Geometry) -> float:
    """Measure the largest angle between a predicted outline and the true one next to it.

    The outline is sampled every 2 px, each sample is moved to the nearest point of the truth, and each edge
    between two samples is compared with its image. Edges shrunk to half or stretched to double are left out.

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
    """Measure the Hausdorff distance: the farthest point of either outline from the other outline, in pixels.

    Points are the corners and every twentieth of an edge.
    """
    return float(shapely.hausdorff_distance(one.boundary, other.boundary, densify=0.05))


def complexity_iou(iou: float, said: int, true: int) -> float:
    """Lower a picture's IoU by its relative difference in corners: C-IoU = IoU (1 - |n - m| / (n + m))."""
    return iou * (1 - abs(said - true) / (said + true)) if said + true else iou


def _mean_distance(one: Polygon, other: Polygon) -> float:
    points = shapely.points(np.concatenate(ring_corners(one)))
    return float(shapely.distance(points, other.boundary).mean())


COLUMNS = (
    "pictures",
    "c_iou",
    "said_corners",
    "true_corners",
    "pairs",
    "polis",
    "hausdorff",
    "angles",
    "max_tangent_angle",
    "holes_hit",
    "holes_invented",
    "holes_missed",
    "said",
    "true",
    "miscounted",
)


def count_polygons(said: Sequence[Polygon], true: Sequence[Polygon], *, iou: float) -> Floats:
    """Sum up one picture.

    Args:
        said: predicted polygons.
        true: true polygons.
        iou: pixel IoU of the picture, in [0, 1], the upper bound of C-IoU.

    Returns:
        float64 (15,), one for each of COLUMNS; rows of several pictures add up.
    """
    pairs = [(said[i], true[j]) for i, j in pair(said, true)]
    angles = max_tangent_angles(said, true)
    said_holes, true_holes = holes(said), holes(true)
    holes_hit = len(pair(said_holes, true_holes))
    n, m = corners(said), corners(true)
    row = {
        "pictures": 1,
        "c_iou": complexity_iou(iou, n, m),
        "said_corners": n,
        "true_corners": m,
        "pairs": len(pairs),
        "polis": sum(polis(a, b) for a, b in pairs),
        "hausdorff": sum(hausdorff(a, b) for a, b in pairs),
        "angles": len(angles),
        "max_tangent_angle": sum(angles),
        "holes_hit": holes_hit,
        "holes_invented": len(said_holes) - holes_hit,
        "holes_missed": len(true_holes) - holes_hit,
        "said": len(said),
        "true": len(true),
        "miscounted": abs(len(said) - len(true)),
    }
    return np.array([row[column] for column in COLUMNS], dtype=np.float64)


def polygon_scores(sums: Floats) -> dict[str, Any]:
    """Divide the sums of a split.

    Args:
        sums: float64 (..., 15), COLUMNS along the last axis.

    Returns:
        By name, float64 (...): c_iou, the mean over pictures and categories (empty against empty is 1); n_ratio,
        predicted over true corners; polis and hausdorff, in pixels, over paired polygons; max_tangent_angle, in
        degrees, over predicted polygons on the truth; hole_f1; count_error, roofs too many or too few per picture
        and category; count_ratio, predicted over true roofs. NaN for a division by 0.
    """
    of = dict(zip(COLUMNS, np.moveaxis(sums, -1, 0), strict=True))
    holes_counts = Counts(*(of[name].astype(np.int64) for name in ("holes_hit", "holes_invented", "holes_missed")))
    return {
        "c_iou": _over(of["c_iou"], of["pictures"]),
        "n_ratio": _over(of["said_corners"], of["true_corners"]),
        "polis": _over(of["polis"], of["pairs"]),
        "hausdorff": _over(of["hausdorff"], of["pairs"]),
        "max_tangent_angle": _over(of["max_tangent_angle"], of["angles"]),
        "hole_f1": ratios(holes_counts)["f1"],
        "count_error": _over(of["miscounted"], of["pictures"]),
        "count_ratio": _over(of["said"], of["true"]),
    }


def _over(above: Floats, below: Floats) -> Floats:
    unknown = np.full(np.shape(above), np.nan)
    return np.asarray(np.divide(above, below, out=unknown, where=below != 0))
