"""The area of a prediction: outside nothing is computed, and no roof is written.

A roof belongs to the area if its centroid lies inside. So roofs on the border come whole, and of two areas side by side
each roof is in one. For that the ground up to `MARGIN` beyond the border is looked at, too.
"""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.errors import ConfigError, DataError, SourceError
from rooftop.raster.georeference import Georeference
from rooftop.raster.region import Region, polygons_of
from rooftop.raster.windows import Window
from rooftop.vector.footprints import read_footprints
from rooftop.vector.layers import Layer, open_layer

log = logging.getLogger(__name__)
MARGIN = 50.0  # metres beyond the border that are computed, so that roofs on it come whole
_LAYER = "|layername="  # with which QGIS names one of several layers of a file
_STEP = 0.01  # degrees between corners put on the sides of a box: they bend in other reference systems


@dataclass(frozen=True)
class Part:
    """The part of a raster inside an area.

    Attributes:
        size: (height, width) of the raster in pixels.
        window: to compute, in pixels of the raster.
        inside: the area, in the frame of the raster, or after `framed` of the window.
        seen: the area and `MARGIN` around it.
    """

    size: tuple[int, int]
    window: Window
    inside: Region
    seen: Region

    def framed(self) -> "Part":
        """The same part in the frame of its window."""
        return Part(self.size, self.window, self.inside.moved(self.window), self.seen.moved(self.window))

    def key(self) -> list[Any]:
        """Return a plain value that differs where the computed pixels do."""
        window = self.window
        content = hashlib.sha256(shapely.to_wkb(self.seen.shape)).hexdigest()
        return [window.column, window.row, window.width, window.height, content]


@dataclass(frozen=True)
class Area:
    """The area as typed; with both, where they overlap.

    Attributes:
        layer: of polygons; None: all.
        bbox: (west, south, east, north) in degrees on WGS 84, across the antimeridian if west exceeds east; None: all.
    """

    layer: Layer | None
    bbox: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, aoi: str | None, bbox: Sequence[float] | None) -> "Area | None":
        """Open the area; None: everywhere.

        Args:
            aoi: vector file of polygons, with "|layername=NAME" to choose one of several layers.
            bbox: west, south, east, north in degrees.

        Raises:
            ConfigError: the file cannot be used, or the numbers are no box.
        """
        if aoi is None and bbox is None:
            return None
        return cls(None if aoi is None else _open(aoi), None if bbox is None else _checked(bbox))

    def part_of(self, path: str, place: Georeference | None, size: tuple[int, int]) -> Part:
        """Find the part of a raster inside the area.

        Args:
            path: of the raster, for messages.
            place: its georeference.
            size: (height, width) in pixels.

        Raises:
            SourceError: the raster has no place on the map, or lies outside.
        """
        if place is None:
            raise SourceError(
                f"{path}: has no place on the map, so {self._name} cannot be found in it; give it one (crs=, a world "
                "file), or leave the area out."
            )
        height, width = size
        frame: BaseGeometry = shapely.box(0, 0, width, height)
        inside = frame
        if self.layer is not None:
            inside = inside & self._polygons(self.layer, path, place, size)
        if self.bbox is not None:
            inside = inside & _in_pixels(self.bbox, place, size)
        inside = shapely.MultiPolygon(polygons_of(inside))
        if inside.is_empty:
            raise SourceError(f"{path}: does not overlap {self._name}; choose another area, or leave this source out.")
        seen = shapely.MultiPolygon(polygons_of(_grown(inside, place) & frame))
        left, top = np.floor(seen.bounds[:2]).astype(int).tolist()
        right, bottom = np.ceil(seen.bounds[2:]).astype(int).tolist()
        return Part(size, Window(left, top, right - left, bottom - top), Region(inside), Region(seen))

    @property
    def _name(self) -> str:
        named = [] if self.layer is None else [f"aoi={self.layer.path}"]
        return " and ".join([*named, *([] if self.bbox is None else [f"bbox={_listed(self.bbox)}"])])

    def _polygons(self, layer: Layer, path: str, place: Georeference, size: tuple[int, int]) -> BaseGeometry:
        found, left_out = list[Polygon](), Counter[str]()
        for page in read_footprints(layer, place, size):
            found += page.polygons
            left_out.update({reason: len(names) for reason, names in page.left_out.items()})
        for reason, number in left_out.items():
            log.warning("aoi=%s: leaves out %d %s (for %s)", layer.path, number, reason, path)
        return shapely.union_all(found)


def _open(aoi: str) -> Layer:
    path, _, name = aoi.partition(_LAYER)
    try:
        return open_layer(
            Path(path),
            name or None,
            where="",
            which=f"layers; name that of the area: aoi='{path}{_LAYER}NAME', with NAME ",
        )
    except DataError as error:
        raise ConfigError(f"aoi={aoi}: {error}") from error


def _checked(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    if len(bbox) != 4 or not all(map(math.isfinite, bbox)):
        raise ConfigError(f"bbox={_listed(bbox)}: four numbers in degrees, [west,south,east,north].")
    west, south, east, north = bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
        raise ConfigError(
            f"bbox={_listed(bbox)}: no box of degrees, [west,south,east,north] on WGS 84 with south below north; an "
            "area in another reference system can be a file: aoi=FILE."
        )
    return west, south, east, north


def _listed(bbox: Sequence[float]) -> str:
    return "[" + ",".join(f"{number:g}" for number in bbox) + "]"


def _in_pixels(bbox: tuple[float, float, float, float], place: Georeference, size: tuple[int, int]) -> BaseGeometry:
    """A box of degrees in the pixel frame; cut to the neighbourhood of the raster, where projections hold."""
    west, south, east, north = bbox
    height, width = size
    degrees = place.to_lonlat(
        shapely.get_coordinates(shapely.segmentize(shapely.box(0, 0, width, height), max(size) / 8))
    )
    if not np.isfinite(degrees).all():
        return shapely.MultiPolygon()
    # longitudes near the raster's, so that the antimeridian is an ordinary line
    middle = degrees[0, 0]
    longitudes = (degrees[:, 0] - middle + 180) % 360 - 180
    if np.ptp(longitudes) >= 180:  # a map of the world
        middle, longitudes = 0.0, np.array([-180.0, 180.0])
    low, high = longitudes.min() - _STEP, longitudes.max() + _STEP
    span = (east - west) % 360 or 360
    start = (west - middle + 180) % 360 - 180
    near = shapely.box(low, max(degrees[:, 1].min() - _STEP, -90), high, min(degrees[:, 1].max() + _STEP, 90))
    boxes = [shapely.box(start + turn, south, start + turn + span, north) & near for turn in (-360, 0, 360)]
    wanted = shapely.segmentize(shapely.union_all(boxes), _STEP)
    return shapely.transform(wanted, lambda at: place.from_lonlat(np.add(at, (middle, 0))))


def _grown(shape: BaseGeometry, place: Georeference) -> BaseGeometry:
    """Grow a shape by `MARGIN` on the ground, by the size of a pixel in its middle."""
    sides = np.hypot(*place.metres(np.reshape(shape.bounds, (2, 2)).mean(axis=0)))
    metres = shapely.buffer(shapely.transform(shape, lambda at: at * sides), MARGIN, quad_segs=2)
    return shapely.transform(metres, lambda at: at / sides)
