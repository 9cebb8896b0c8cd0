"""What is summed per picture for the polygon scores, and the scores made of the sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.metrics.pixel import Counts, ratios
from rooftop.metrics.polygon.angle import max_tangent_angles
from rooftop.metrics.polygon.distance import complexity_iou, corners, hausdorff, polis
from rooftop.metrics.polygon.pairing import holes, pair

Floats = NDArray[np.float64]

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
        iou: pixel IoU of the picture, in [0, 1], which C-IoU lowers.

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
        By name, float64 (...): c_iou, the mean over pictures and categories (nothing found where nothing is counts 1);
        n_ratio, predicted over true corners; polis
        and hausdorff, in pixels, over paired polygons; max_tangent_angle, in degrees, over predicted
        polygons that lie on the truth; hole_f1; count_error, roofs too many or too few a picture and category;
        count_ratio, predicted over true roofs. NaN where there is nothing to divide by.
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
