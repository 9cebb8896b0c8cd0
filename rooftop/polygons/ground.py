"""Lengths, areas and directions of roofs: on the ground where it is known, else in pixels."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon

from rooftop.raster.georeference import Georeference


@dataclass(frozen=True)
class Ground:
    """What a pixel is on the ground.

    Attributes:
        georeference: place on the map; None = unknown.
        gsd: metres per pixel; None = unknown, and lengths and areas are in pixels.
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

    def orientation(self, polygon: Polygon) -> float:
        """Degrees in [0, 180), clockwise from north (from up, without a place), of a roof's long side."""
        corners = shapely.get_coordinates(shapely.oriented_envelope(polygon))
        sides = np.hypot(*(corners[1:3] - corners[:2]).T)
        start = int(np.argmax(sides))
        if self.georeference:
            return self.georeference.bearing(corners[start], corners[start + 1]) % 180
        right, down = corners[start + 1] - corners[start]
        return math.degrees(math.atan2(right, -down)) % 180
