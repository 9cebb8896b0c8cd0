"""Ground inside polygons, drawn window by window."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.raster.rasterise import rasterise
from rooftop.raster.windows import Window


class Region:
    """Polygons in a pixel frame, asked window by window.

    Args:
        shape: polygons of any number.
    """

    def __init__(self, shape: BaseGeometry) -> None:
        self.shape = shape
        shapely.prepare(shape)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Draw the region in a window, bool (h, w)."""
        size, (x, y) = (window.height, window.width), (window.column, window.row)
        frame = shapely.box(x, y, x + window.width, y + window.height)
        if shapely.contains_properly(self.shape, frame):
            return np.ones(size, bool)
        if not shapely.intersects(self.shape, frame):
            return np.zeros(size, bool)
        return rasterise(polygons_of(self.within(window)), *size).astype(bool)

    def within(self, window: Window) -> BaseGeometry:
        """The polygons inside a window, in its frame."""
        x, y = window.column, window.row
        frame = shapely.box(x, y, x + window.width, y + window.height)
        return shapely.transform(shapely.intersection(self.shape, frame), lambda at: np.subtract(at, (x, y)))

    def holds(self, polygon: Polygon) -> bool:
        """Report whether the centroid of a polygon lies inside."""
        return bool(shapely.contains(self.shape, shapely.centroid(polygon)))

    def moved(self, window: Window) -> "Region":
        """The same region in the frame of a window."""
        by = window.column, window.row
        return Region(shapely.transform(self.shape, lambda at: np.subtract(at, by)))


def polygons_of(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a shape or collection, without points and lines."""
    parts = shapely.get_parts(shapely.get_parts(shape))  # a collection may hold multipolygons
    return [part for part in parts if isinstance(part, Polygon) and not part.is_empty]
