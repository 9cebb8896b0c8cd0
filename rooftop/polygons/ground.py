"""Lengths, areas and directions of roofs: on the ground if known, else in pixels."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon

from rooftop.polygons.walls import Points
from rooftop.raster.georeference import Georeference

_SQUARE = 0.01  # share by which a pixel's sides may differ on the ground: right angles stay so within 0.3 degrees


@dataclass(frozen=True)
class Ground:
    """Georeference and size of the pixels on the ground.

    Attributes:
        georeference: None: unknown.
        gsd: metres per pixel; None: unknown; lengths and areas are in pixels.
    """

    georeference: Georeference | None
    gsd: float | None

    @property
    def unit(self) -> str:
        """Of lengths: "m" or "px"."""
        return "px" if self.gsd is None else "m"

    def roughly(self, pixels: float) -> float:
        """Area of so many pixels, from the pixel size in the middle of the scene."""
        return pixels * (self.gsd or 1.0) ** 2

    def measure(self, polygon: Polygon) -> tuple[float, float]:
        """Area, holes taken off, and length of the outline of a polygon in the pixel frame."""
        if self.georeference:
            return self.georeference.measure(polygon)
        return self.roughly(polygon.area), polygon.exterior.length * (self.gsd or 1.0)

    def stretch(self, polygon: Polygon) -> Points | None:
        """Return the stretch to square pixels around a polygon; None if they are square or unknown.

        Returns:
            Symmetric matrix float64 (2, 2) of determinant 1 for points of the pixel frame: areas do not change.
        """
        if not self.georeference:
            return None
        metres = self.georeference.metres(np.reshape(polygon.bounds, (2, 2)).mean(axis=0))
        if not np.isfinite(metres).all():
            return None
        _, (long, short), turn = np.linalg.svd(metres)
        if long <= (1 + _SQUARE) * short or short <= 0:
            return None
        longer = math.sqrt(long / short)
        matrix: Points = turn.T @ np.diag([longer, 1 / longer]) @ turn
        return matrix

    def orientation(self, polygon: Polygon) -> float:
        """Degrees in [0, 180), clockwise from north (from up, without a place), of a roof's long side."""
        stretch = self.stretch(polygon)
        if stretch is None:
            start, end = _long_side(polygon)
        else:
            start, end = _long_side(shapely.transform(polygon, lambda corners: corners @ stretch)) @ np.linalg.inv(
                stretch
            )
        if self.georeference:
            return self.georeference.bearing(start, end) % 180
        right, down = end - start
        return math.degrees(math.atan2(right, -down)) % 180


def _long_side(polygon: Polygon) -> Points:
    """Both ends, in rows, of the long side of the smallest rectangle around a polygon."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(polygon))
    sides = np.hypot(*(corners[1:3] - corners[:2]).T)
    start = int(np.argmax(sides))
    side: Points = corners[start : start + 2]
    return side
