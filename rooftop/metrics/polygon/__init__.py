"""How well polygons are met: corners, outlines, angles, holes, number.

Polygons are shapely's, valid, in the pixel frame, holes kept; distances are in pixels, angles in degrees.

distance     PoLiS (Avbelj et al. 2015), Hausdorff, corners, C-IoU (Zorzi et al. 2022)
angle        max tangent angle error (Girard et al. 2021)
pairing      which predicted polygon stands for which true one; holes
counts       what is summed per picture, and the scores made of it
published    the variants that published code computes, to the letter
"""

from rooftop.metrics.polygon.angle import max_tangent_angle, max_tangent_angles
from rooftop.metrics.polygon.counts import COLUMNS, count_polygons, polygon_scores
from rooftop.metrics.polygon.distance import complexity_iou, corners, hausdorff, polis
from rooftop.metrics.polygon.pairing import holes, iou_matrix, pair
from rooftop.metrics.polygon.published import ffl_angles, hisup_polis

__all__ = [
    "COLUMNS",
    "complexity_iou",
    "corners",
    "count_polygons",
    "ffl_angles",
    "hausdorff",
    "hisup_polis",
    "holes",
    "iou_matrix",
    "max_tangent_angle",
    "max_tangent_angles",
    "pair",
    "polis",
    "polygon_scores",
]
