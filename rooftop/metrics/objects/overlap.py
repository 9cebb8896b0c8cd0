"""Overlap of two sets of objects, pair by pair; an object is a run-length mask in the form of pycocotools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from rooftop.metrics.boundary import band, band_width

Rle = dict[str, Any]  # {"size": [height, width], "counts": bytes}

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def mask_areas(rles: Sequence[Rle]) -> Floats:
    """Count the pixels of each mask: float64 (n,)."""
    # In portions, since `pycocotools.mask.area` (2.0.11) fails on lists of more than 255 masks.
    portions = [coco_mask.area(rles[start : start + 255]) for start in range(0, len(rles), 255)]
    return np.concatenate([np.zeros(0), *portions])


def mask_iou(found: list[Rle], truth: list[Rle], crowd: Bools) -> Floats:
    """Divide intersection by union, or by the found object's own area where the truth is a crowd; (D, G)."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    return np.asarray(coco_mask.iou(found, truth, crowd.astype(np.uint8).tolist()), dtype=np.float64)


def boundary_iou(found: list[Rle], truth: list[Rle], iou: Floats, crowd: Bools, at_least: float) -> Floats:
    """Lower the IoU of masks to that of their boundary bands, where this is smaller (Cheng et al. 2021).

    Args:
        found: D objects.
        truth: G objects.
        iou: their IoU of masks, float64 (D, G).
        crowd: bool (G,); as in the authors' code the IoU with a crowd stays that of the masks.
        at_least: pairs below this IoU are left as they are, since no threshold lies below it.

    Returns:
        float64 (D, G).
    """
    lower: Floats = iou.copy()
    found_bands: dict[int, _Band] = {}
    truth_bands: dict[int, _Band] = {}
    for d, g in np.argwhere((iou >= at_least) & ~crowd).tolist():
        if d not in found_bands:
            found_bands[d] = _Band(found[d])
        if g not in truth_bands:
            truth_bands[g] = _Band(truth[g])
        lower[d, g] = min(iou[d, g], found_bands[d].iou(truth_bands[g]))
    return lower


class _Band:
    """The boundary band of one object, held only within its bounding box."""

    def __init__(self, rle: Rle) -> None:
        x, y, width, height = (int(v) for v in coco_mask.toBbox(rle))
        self.top, self.left, self.bottom, self.right = y, x, y + height, x + width
        # Beyond its bounding box an object is outside, so the band of the cut-out is the band of the whole.
        cut = coco_mask.decode(rle)[self.top : self.bottom, self.left : self.right]
        self.pixels = band(cut, band_width(*rle["size"]))
        self.area = np.count_nonzero(self.pixels)

    def iou(self, other: _Band) -> float:
        both = np.count_nonzero(self._cut(other) & other._cut(self))
        return float(both / (self.area + other.area - both))

    def _cut(self, other: _Band) -> Bools:
        rows = slice(max(other.top - self.top, 0), max(other.bottom - self.top, 0))
        columns = slice(max(other.left - self.left, 0), max(other.right - self.left, 0))
        return self.pixels[rows, columns]
