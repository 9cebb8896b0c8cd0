"""Foreign geometry to polygons: the net between the shapes of other people and GEOS.

GEOS refuses a whole feature for one bad ring, a page of features for one of them, and all work for a NaN. Here a bad
part is left out with its reason, and the rest is kept. Surfaces in space become their outline on the ground.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.errors import GEOSException

Shapes = NDArray[np.object_]
Points = NDArray[np.float64]
Rings = Sequence[Points]

MISSING = "without geometry"
FLAT = "not an area"
OPEN = "with an open ring"
SHORT = "with a ring of fewer than 3 corners"
NUMBER = "with a coordinate that is not a finite number"
FAR = "with a corner outside the reference system or too far away"
UNREADABLE = "with a geometry that cannot be read"
UNSOUND = "that cannot be repaired"

_COLLECTIONS = (4, 5, 6, 7)  # numbers in GEOS of everything with parts
_FARTHEST = 1e12  # in the unit of any reference system: beyond the earth even in millimetres


class Parts(NamedTuple):
    """The polygons of a feature, not checked.

    Attributes:
        polygons: rings of each, float64 (n, 2): outer ring, then holes; the first point is repeated at the end.
        is_spatial: the feature has heights, so that polygons may lie above one another.
    """

    polygons: Sequence[Rings]
    is_spatial: bool


@dataclass(frozen=True)
class Areas:
    """The areas of some features.

    Attributes:
        polygons: object (M,), valid, not empty, two-dimensional.
        owners: int64 (M,), index of the feature of each, ascending.
        faults: reason by index of a feature left out as a whole or in part.
        repaired: int64 (R,), index of each feature whose outline crossed itself.
    """

    polygons: Shapes
    owners: NDArray[np.int64]
    faults: dict[int, str]
    repaired: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def mapped(self, function: Callable[[Points], Points], *, most: float) -> "Areas":
        """Return the areas with other coordinates, repaired where these make them cross themselves.

        Args:
            function: new coordinates of points, float64 (N, 2).
            most: absolute value of a coordinate; polygons beyond are left out, as those of infinity or NaN.
        """
        moved = shapely.transform(self.polygons, function) if len(self.polygons) else self.polygons
        is_near = _are_within(moved, most)
        repaired = np.full(len(moved), None, dtype=object)
        repaired[is_near] = each(shapely.make_valid, moved[is_near])
        parts, i = _polygons(repaired)
        lost = np.setdiff1d(np.arange(len(moved)), i)  # in part: collapsed to lines
        reasons = np.where(is_near, np.where(shapely.is_missing(repaired), UNSOUND, FLAT), FAR)
        faults = dict(zip(self.owners[lost].tolist(), reasons[lost].tolist(), strict=True))
        return Areas(parts, self.owners[i], faults | self.faults, self.repaired)


def parse_wkb(texts: Shapes) -> Shapes:
    """Return shapes of well-known binaries, object (N,); None for what is missing or GEOS cannot read."""
    with np.errstate(all="ignore"):  # NaN among the coordinates: see `read_areas`
        shapes: Shapes = shapely.from_wkb(texts, on_invalid="ignore")
    return shapes


def parse_geojson(texts: Shapes) -> Shapes:
    """Return shapes of GeoJSON texts, object (N,); None for what is missing or GEOS cannot read."""
    with np.errstate(all="ignore"):
        shapes: Shapes = shapely.from_geojson(texts, on_invalid="ignore")
    return shapes


def read_areas(shapes: Shapes, parts_of: Callable[[int], Parts | None]) -> Areas:
    """Return the areas of features, crossing outlines repaired by `make_valid` of shapely.

    Args:
        shapes: object (N,), as GEOS reads them; None: there is none, or GEOS cannot read it.
        parts_of: reads a feature without GEOS; None: it has no geometry. It raises ValueError for an unknown type.
    """
    flat, is_spatial = shapely.force_2d(shapes), shapely.has_z(shapes)
    is_good = ~shapely.is_missing(flat) & _are_within(flat, _FARTHEST)
    repaired = np.full(len(flat), None, dtype=object)
    is_crossing = is_good.copy()
    is_crossing[is_good] = ~shapely.is_valid(flat[is_good])
    faults: dict[int, str] = {}
    repaired[is_good] = each(shapely.make_valid, flat[is_good])
    for i in np.flatnonzero(is_good & is_spatial & (shapely.get_num_geometries(flat) > 1)).tolist():
        if shapely.get_type_id(flat[i]) == shapely.GeometryType.GEOMETRYCOLLECTION or not shapely.is_valid(flat[i]):
            repaired[i] = _attempt(_ground, shapely.GeometryCollection([*_polygons(flat[i : i + 1])[0]]))
    for i in np.flatnonzero(~is_good).tolist():
        repaired[i], fault = _salvaged(parts_of, i)
        faults |= {i: fault} if fault else {}
    polygons, owners = _polygons(repaired)
    for i in np.setdiff1d(np.arange(len(flat)), owners).tolist():
        reason = UNSOUND if repaired[i] is None else MISSING if shapely.is_empty(flat[i]) else FLAT
        faults.setdefault(i, reason)
    return Areas(polygons, owners, faults, np.intersect1d(np.flatnonzero(is_crossing), owners))


def each(function: Callable[[Any], Any], shapes: Shapes) -> Shapes:
    """Apply a function of GEOS to shapes, object (N,); None for those that GEOS gives up on."""
    try:
        return np.asarray(function(shapes), dtype=object)
    except GEOSException:
        found = np.full(len(shapes), None, dtype=object)
        found[:] = [_attempt(function, shape) for shape in shapes]
        return found


def _attempt(function: Callable[[Any], Any], shape: Any) -> Any:
    try:
        return function(shape)
    except GEOSException:
        return None


def _are_within(shapes: Shapes, most: float) -> NDArray[np.bool_]:
    """Whether all coordinates of each shape are finite and at most `most`; True without any."""
    points, i = shapely.get_coordinates(shapes, return_index=True)
    within = np.ones(len(shapes), bool)
    within[i[~(np.abs(points) <= most).all(axis=1)]] = False  # NaN is not within
    return within


def _polygons(shapes: Shapes) -> tuple[Shapes, NDArray[np.int64]]:
    """The polygons of shapes and collections in any depth, and the index of the shape of each."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    while np.isin(shapely.get_type_id(parts), _COLLECTIONS).any():
        parts, i = shapely.get_parts(parts, return_index=True)
        owners = owners[i]
    is_area = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return parts[is_area], owners[is_area]


def _ground(shapes: Any) -> Any:
    """The ground below polygons above one another; walls have none."""
    return shapely.union_all(_polygons(shapely.make_valid(shapely.get_parts(shapes)))[0])


def _salvaged(parts_of: Callable[[int], Parts | None], i: int) -> tuple[Any, str]:
    """What is left of a feature without its bad polygons, and the reason of the first of these."""
    try:
        parts = parts_of(i)
    except (ValueError, RecursionError):
        return None, UNREADABLE
    if parts is None:
        return None, MISSING
    found = [_polygon(rings) for rings in parts.polygons]
    if parts.is_spatial:  # seen from above, walls have two corners
        found = [polygon for polygon in found if polygon != SHORT]
    good = MultiPolygon([polygon for polygon in found if isinstance(polygon, Polygon)])
    fault = next((reason for reason in found if isinstance(reason, str)), "")
    return _attempt(_ground if parts.is_spatial else shapely.make_valid, good), fault


def _polygon(rings: Rings) -> Polygon | str:
    """A polygon, not yet valid, or the fault of its first bad ring. A hole without an area is no fault."""
    faults = [_fault(ring) for ring in rings]
    bad = [fault for i, fault in enumerate(faults) if fault and not (i and fault == SHORT)]
    if bad or not rings:
        return bad[0] if bad else Polygon()
    holes = [ring for ring, fault in zip(rings[1:], faults[1:], strict=True) if not fault]
    return Polygon(rings[0], holes)


def _fault(ring: Points) -> str:
    if not np.isfinite(ring).all():
        return NUMBER
    if (np.abs(ring) > _FARTHEST).any():
        return FAR
    is_closed = len(ring) > 1 and bool((ring[0] == ring[-1]).all())
    if len(np.unique(ring, axis=0)) < 3:  # corners of a triangle
        return SHORT
    return "" if is_closed else OPEN


# --- well-known binaries, as GDAL writes them ---

_POLYGONS, _POINTS, _MEMBERS = (3, 17), (1, 2, 8), (4, 5, 6, 7, 9, 10, 11, 12, 15, 16)
_SURFACES = (15, 16, 17)  # polyhedral surface, triangulated one, triangle
_Z, _M = 0x80000000, 0x40000000  # of the extended form; ISO adds 1000, 2000, or 3000 to the type


def wkb_parts(wkb: bytes) -> Parts:
    """Read the polygons of any geometry.

    Raises:
        ValueError: an unknown type, or damage.
    """
    polygons: list[Rings] = []
    try:
        is_spatial = _read_member(BytesIO(wkb), polygons)
    except struct.error as error:
        raise ValueError(str(error)) from error
    return Parts(polygons, is_spatial)


def _read_member(file: BytesIO, polygons: list[Rings]) -> bool:
    """Read one geometry with its members, and report whether it has heights."""
    order = "<" if file.read(1) == b"\1" else ">"
    code = _count(file, order)
    more, kind = divmod(code & ~(_Z | _M), 1000)
    has_z = bool(code & _Z) or more in (1, 3)
    width = 2 + has_z + (bool(code & _M) or more in (2, 3))
    if kind in _POLYGONS:
        polygons.append([_points(file, order, width) for _ in range(_count(file, order))])
    elif kind in _MEMBERS:
        members = [_read_member(file, polygons) for _ in range(_count(file, order))]
        has_z |= any(members)
    elif kind in _POINTS:
        _points(file, order, width, 1 if kind == 1 else None)
    else:
        raise ValueError(f"geometry type {kind}")
    return has_z or kind in _SURFACES


def _count(file: BytesIO, order: str) -> int:
    (count,) = struct.unpack(f"{order}I", file.read(4))
    return int(count)


def _points(file: BytesIO, order: str, width: int, count: int | None = None) -> Points:
    count = _count(file, order) if count is None else count
    numbers = np.frombuffer(file.read(8 * width * count), f"{order}f8")
    return numbers.reshape(count, width)[:, :2].astype(np.float64)


# --- GeoJSON ---


def json_parts(geometry: Any) -> Parts:
    """Read the polygons of a GeoJSON geometry.

    Raises:
        ValueError: an unknown type, or no lists of coordinates.
    """
    polygons = [[ring if isinstance(ring, list) else [] for ring in rings] for rings in _json_polygons(geometry)]
    is_spatial = any(isinstance(at, list) and len(at) > 2 for rings in polygons for ring in rings for at in ring)
    return Parts([[_positions(ring) for ring in rings] for rings in polygons], is_spatial)


def _json_polygons(geometry: Any) -> Iterator[list[Any]]:
    match geometry:
        case {"type": "Polygon", "coordinates": list(rings)}:
            yield rings
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            yield from (rings for rings in polygons if isinstance(rings, list))
        case {"type": "GeometryCollection", "geometries": list(members)}:
            for member in members:
                yield from _json_polygons(member)
        case {"type": "Point" | "MultiPoint" | "LineString" | "MultiLineString", "coordinates": list()}:
            return
        case _:
            raise ValueError("not a geometry")


def _positions(ring: list[Any]) -> Points:
    """Coordinates of a ring; NaN for everything but numbers."""
    pairs = [at[:2] if isinstance(at, list) and len(at) > 1 else (None, None) for at in ring]
    return np.array([[_number(x), _number(y)] for x, y in pairs], np.float64).reshape(-1, 2)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return float("inf")
