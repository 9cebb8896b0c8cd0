"""Measures of one object, to be held against what is stated of it."""

import re
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco import CocoObject
from rooftop.raster.rasterise import rasterise

_LOOSE = 0.1  # share by which a stated area may differ; annotators count pixels or measure outlines
_CORNER = 1.5  # pixels by which a stated box may differ


@dataclass(frozen=True)
class Shape:
    """Measures of one object.

    area: of the outline, in square pixels. length: of the outline. box: x, y, width, height. fault: of a ring, or "".
    """

    area: float
    length: float
    box: NDArray[np.float64]
    fault: str
    thing: CocoObject
    size: tuple[int, int]

    @classmethod
    def of(cls, thing: CocoObject, height: int, width: int) -> "Shape":
        """Measure an object."""
        if thing.rle is not None:
            return cls(float(coco.area(thing.rle)), 0.0, coco.toBbox(thing.rle), "", thing, (height, width))
        polygons = shapely.polygons([shapely.linearrings(ring) for ring in thing.rings or ()])
        low, high = np.reshape(shapely.total_bounds(polygons), (2, 2))
        broken = polygons[~shapely.is_valid(polygons)]
        fault = _short(shapely.is_valid_reason(broken[0])) if len(broken) else ""
        area, length = float(shapely.area(polygons).sum()), float(shapely.length(polygons).sum())
        if fault:  # parts that run the other way round would be subtracted
            area = float(rasterise([thing], height, width).sum())
        return cls(area, length, np.concatenate([low, high - low]), fault, thing, (height, width))

    def fits_area(self, stated: float) -> bool:
        """Whether a stated area is that of the outline or that of its pixels, near enough."""
        if abs(stated - self.area) <= _LOOSE * self.area + self.length / 2 + 1:
            return True
        drawn = float(rasterise([self.thing], *self.size).sum())
        return abs(stated - drawn) <= _LOOSE * drawn + 1

    def fits_box(self, stated: NDArray[np.float64]) -> bool:
        """Whether a stated box is that of the outline, or of its part inside the picture."""
        limit = np.array(self.size[::-1], np.float64)
        low, high = np.clip([self.box[:2], self.box[:2] + self.box[2:]], 0, limit)
        inside = np.concatenate([low, high - low])
        return any(bool(np.abs(stated - box).max() <= _CORNER) for box in (self.box, inside))


def _short(reason: str) -> str:
    """What shapely says of a broken ring, its coordinates with one digit."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", reason)
