"""Georeference of a raster: pixels to map coordinates, to longitude and latitude, and to metres.

The only door to pyproj. Lengths and areas are geodesic (C. F. F. Karney, Algorithms for geodesics, 2013) on the
WGS 84 ellipsoid: map units lie, by a factor of 1 / cos(latitude) in web maps.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, GeodError, ProjError
from shapely import Polygon

from rooftop.errors import ConfigError

_GEOD = Geod(ellps="WGS84")
_SQUARE = 1.1  # ratio of a pixel's sides in metres that no roof minds
_DEGREES = 1e-3  # map units: smaller pixels are degrees, larger ones metres or feet
_FAR = 15.0  # degrees by which rasters may lie beyond the area of use: all of Norway comes in UTM zone 33


@dataclass(frozen=True)
class Georeference:
    """Map position of a raster.

    Attributes:
        affine: pixel frame to map coordinates (rotation allowed).
        crs: coordinate reference system of the map, as WKT.
    """

    affine: Affine
    crs: str

    @classmethod
    def north_up(cls, code: int, corner: tuple[float, float], gsd: float) -> "Georeference":
        """A raster with north up: EPSG code of a system in metres, its upper left corner, metres per pixel."""
        return cls(Affine(gsd, 0, corner[0], 0, -gsd, corner[1]), CRS.from_epsg(code).to_wkt())

    def moved(self, column: int, row: int) -> "Georeference":
        """The georeference of a part of the raster that begins at this pixel."""
        return Georeference(self.affine * Affine.translation(column, row), self.crs)

    @cached_property
    def _to_lonlat(self) -> Transformer:
        return Transformer.from_crs(CRS.from_wkt(self.crs), CRS.from_epsg(4326), always_xy=True)

    @property
    def name(self) -> str:
        """Common name of the reference system, e.g. "EPSG:32645", or its own name without a code."""
        crs = CRS.from_wkt(self.crs)
        code = crs.to_epsg()
        return f"EPSG:{code}" if code else str(crs.name)

    @property
    def projjson(self) -> dict[str, Any]:
        """The reference system as PROJJSON."""
        return dict(CRS.from_wkt(self.crs).to_json_dict())

    def to_map(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixel frame (N, 2) to map coordinates (N, 2), x before y."""
        a, b, c, d, e, f = self.affine[:6]
        mapped: NDArray[np.float64] = points @ np.array([[a, d], [b, e]]) + (c, f)
        return mapped

    def to_lonlat(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixel frame (N, 2) to degrees (N, 2): longitude, latitude on WGS 84."""
        longitude, latitude = self._to_lonlat.transform(*self.to_map(points).T)
        return np.column_stack([longitude, latitude])

    def from_lonlat(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees (N, 2), longitude and latitude on WGS 84, to the pixel frame (N, 2)."""
        x, y = self._to_lonlat.transform(points[:, 0], points[:, 1], direction="INVERSE")
        return np.column_stack(~self.affine * np.array([x, y]))

    def metres_per_pixel(self, height: int, width: int) -> float:
        """Ground sampling distance in the middle of a raster of that size: mean over both directions.

        Raises:
            ValueError: the raster is not on the earth: a site grid, another planet, a corner beyond the map.
        """
        try:
            corners = self.to_lonlat(np.array([(0, 0), (width, 0), (0, height), (width, height)], np.float64))
            found = math.sqrt(math.prod(self.pixel_sides(height, width))) if np.isfinite(corners).all() else 0.0
        except (ProjError, GeodError) as error:
            raise ValueError(str(error)) from error
        if not (math.isfinite(found) and found > 0):
            raise ValueError("not on the earth")
        return found

    def pixel_sides(self, height: int, width: int) -> tuple[float, float]:
        """Return width and height in metres of the pixel in the middle of a raster of that size."""
        wide, high = np.hypot(*self.metres(np.array([width / 2, height / 2]))).tolist()
        return wide, high

    def is_oblong(self, height: int, width: int) -> bool:
        """Report whether that pixel is far from a square, as in degrees: roofs look squeezed."""
        wide, high = self.pixel_sides(height, width)
        return max(wide, high) / min(wide, high) > _SQUARE

    def utm(self, height: int, width: int) -> str:
        """Return the UTM zone of the middle of a raster of that size, e.g. "EPSG:32645"."""
        ((lon, lat),) = self.to_lonlat(np.array([(width / 2, height / 2)]))
        return self.zone(lon, lat)

    @staticmethod
    def zone(lon: float, lat: float) -> str:
        """Return the UTM zone of a point in degrees, e.g. "EPSG:32645"."""
        return f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) % 360 // 6) + 1}"

    def is_on_earth(self, height: int, width: int) -> bool:
        """Report whether the corners of a raster of that size have longitude and latitude."""
        try:
            return self.metres_per_pixel(height, width) > 0
        except ValueError:
            return False

    def misfit(self, height: int, width: int) -> str:
        """Return why a raster of that size cannot be of this reference system; empty if it can."""
        system, side = CRS.from_wkt(self.crs), _side(self.affine)
        middle = self.to_map(np.array([(width / 2, height / 2)]))
        x, y = middle[0].tolist()
        where = f"its middle lies at {x:,.10g}, {y:,.10g}, and its pixels are {side:.3g} wide"
        if system.is_geographic and not (abs(x) <= 360 and abs(y) <= 90 and side < _DEGREES):
            return f"{where}, which are no degrees; name a system in metres"
        if not system.is_geographic and side < _DEGREES:
            return f"{where}, which are degrees; name a system in degrees, e.g. crs=EPSG:4326"
        if not self.is_on_earth(height, width):
            return f"{where}, which is not on the earth in that system; name the right one"
        ((lon, lat),) = self.to_lonlat(np.array([(width / 2, height / 2)]))
        area = system.area_of_use
        if area is None:
            return ""
        reach = ((area.east - area.west) % 360 or 360) + 2 * _FAR
        if not (area.south - _FAR <= lat <= area.north + _FAR and (lon - area.west + _FAR) % 360 <= reach):
            return (
                f"its middle would lie at longitude {lon:.2f}, latitude {lat:.2f}, far from the area of "
                f"{system.name}; name the right one"
            )
        return ""

    def measure(self, polygon: Polygon) -> tuple[float, float]:
        """Geodesic area in square metres, holes taken off, and length in metres of the outline; pixel frame in."""
        # turned before they are mapped: on the antimeridian longitudes jump, and a ring seems to run backwards
        oriented = shapely.transform(shapely.orient_polygons(polygon), self.to_lonlat)
        area, perimeter = _GEOD.geometry_area_perimeter(oriented)
        return abs(float(area)), float(perimeter)

    def bearing(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
        """Return the bearing from `start` to `end` in degrees clockwise from north; points in the pixel frame."""
        (lon, lat), other = self.to_lonlat(np.array([start, end]))
        return float(_GEOD.inv(lon, lat, *other)[0])

    def metres(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many metres east and north, rows of (2, 2), a pixel leads right and down, its columns, near a point."""
        (lon, lat), *others = self.to_lonlat(point + np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
        found = [_GEOD.inv(lon, lat, *other) for other in others]
        steps = [(far * math.sin(math.radians(turn)), far * math.cos(math.radians(turn))) for turn, _, far in found]
        metres: NDArray[np.float64] = np.array(steps).T
        return metres


def parse_system(code: str) -> str:
    """Return the reference system of a code, e.g. "EPSG:32645", as WKT.

    Raises:
        ConfigError: there is no such code, or it is not one of degrees, metres or feet on a map.
    """
    try:
        system = CRS.from_authority(*code.split(":")) if code.count(":") == 1 else None
    except CRSError:
        system = None
    if system is None:
        raise ConfigError(f"crs={code}: no such reference system; write its code, e.g. crs=EPSG:32645.")
    if not (system.is_geographic or system.is_projected):
        raise ConfigError(
            f"crs={code}: {system.name} is no reference system of maps; name one of degrees or metres, e.g. EPSG:32645."
        )
    return system.to_wkt()


def is_same_system(one: str, other: str) -> bool:
    """Compare two reference systems, as WKT: equal if their codes or definitions are."""
    first, second = CRS.from_wkt(one), CRS.from_wkt(other)
    code = first.to_epsg()
    return first.equals(second, ignore_axis_order=True) or (code is not None and code == second.to_epsg())


def code_of(wkt: str) -> str | None:
    """Return the code of a reference system in any form of WKT, e.g. "EPSG:32645"; None: not known."""
    try:
        code = CRS.from_wkt(wkt).to_epsg()
    except CRSError:
        return None
    return f"EPSG:{code}" if code else None


def assumed_gsd(affine: Affine, height: int, width: int) -> float | None:
    """Return metres per pixel of a raster without reference system; None: its affine cannot be one of a map.

    Pixels smaller than a thousandth near coordinates of longitude and latitude are degrees; all others are metres.
    """
    side = _side(affine)
    if not (math.isfinite(side) and side > 0 and all(map(math.isfinite, affine[:6]))):
        return None
    if side >= _DEGREES:
        return side
    degrees = Georeference(affine, CRS.from_epsg(4326).to_wkt())
    return None if degrees.misfit(height, width) else degrees.metres_per_pixel(height, width)


def _side(affine: Affine) -> float:
    """Side of a pixel in map units: of the square of its area."""
    return math.sqrt(abs(affine.determinant))
