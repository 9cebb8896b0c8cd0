"""Annotations of a tile."""

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.coco import Category, CocoObject, measured
from rooftop.raster.rasterise import encode, rasterise
from rooftop.raster.windows import Window

CATEGORY = Category(100, "building")
_DIGITS = 2  # of a pixel that coordinates keep, as annotation files usually do


def building(number: int, shape: Polygon, window: Window) -> CocoObject:
    """A building as an annotation: a ring, or run lengths if it has a court."""
    height, width = window.height, window.width
    if shape.interiors:
        run = encode(rasterise([shape], height, width))
        return measured(CocoObject(number, CATEGORY.id, False, 0.0, None, run), height, width)
    ring = np.asarray(shape.exterior.coords)[:-1].round(_DIGITS) + 0.0  # no negative zero
    return CocoObject(number, CATEGORY.id, False, round(float(shape.area), _DIGITS), [ring], None)


def unknown(number: int, valid: NDArray[np.bool_]) -> CocoObject:
    """The ground without data of a tile, bool (h, w), as a crowd, which is neither learned nor scored."""
    run = encode(np.asarray(~valid, np.uint8))
    return measured(CocoObject(number, CATEGORY.id, True, 0.0, None, run), *valid.shape)
