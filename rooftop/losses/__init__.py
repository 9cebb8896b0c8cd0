"""Losses on logits: small functions, thin modules, and a weighted sum of them by name.

All take logits (B, K, H, W), mask (B, K, H, W) of 0 and 1, and valid bool (B, H, W); pixels that are not valid have no
part. All give a scalar; without a valid pixel it is 0.
"""

from rooftop.losses.overlap import Dice, Lovasz, Tversky, dice, lovasz, tversky
from rooftop.losses.pixel import BCE, Focal, bce, focal
from rooftop.losses.seams import DistanceBCE, GapBCE, distance_bce, distance_weights, gap_bce
from rooftop.losses.weighted import WeightedSum

__all__ = [
    "BCE",
    "Dice",
    "DistanceBCE",
    "Focal",
    "GapBCE",
    "Lovasz",
    "Tversky",
    "WeightedSum",
    "bce",
    "dice",
    "distance_bce",
    "distance_weights",
    "focal",
    "gap_bce",
    "lovasz",
    "tversky",
]
