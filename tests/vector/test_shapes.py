"""Bad geometry is left out part by part; the rest of it, and of its page, is kept."""

import json
import struct

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import MultiPolygon, box

from rooftop.vector.shapes import each, json_parts, parse_geojson, parse_wkb, read_areas, wkb_parts

SQUARE = [(0, 0), (4, 0), (4, 3), (0, 3), (0, 0)]
FAR = [(8, 0), (9, 0), (9, 3), (8, 0)]
HOLE = [(1, 1), (2, 1), (2, 2), (1, 1)]
NAN, INF = float("nan"), float("inf")


def as_wkb(kind, *polygons, z=False):
    """A geometry of polygons, each a list of rings: type 3 Polygon, 6, 7, 15, 16, 17."""
    code = 1000 * z

    def rings(polygon, number):
        text = struct.pack("<BII", 1, number + code, len(polygon))
        for ring in polygon:
            text += struct.pack("<I", len(ring))
            text += b"".join(struct.pack(f"<{2 + z}d", *point[: 2 + z]) for point in ring)
        return text

    if kind in (3, 17):
        return rings(polygons[0], kind)
    member = 17 if kind == 16 else 3
    return struct.pack("<BII", 1, kind + code, len(polygons)) + b"".join(rings(each, member) for each in polygons)


def from_wkb(*texts):
    shapes = parse_wkb(np.array(texts, object))
    return read_areas(shapes, lambda i: None if texts[i] is None else wkb_parts(texts[i]))


def from_json(*geometries):
    texts = np.array([json.dumps(geometry) for geometry in geometries], object)
    shapes = parse_geojson(texts)
    return read_areas(shapes, lambda i: json_parts(json.loads(texts[i])))


BAD = {
    "open": (SQUARE[:-1], "with an open ring"),
    "two points": ([(0, 0), (0, 0)], "with a ring of fewer than 3 corners"),
    "one point": ([(0, 0)], "with a ring of fewer than 3 corners"),
    "infinite": ([(0, 0), (INF, 0), (4, 3), (0, 0)], "with a coordinate that is not a finite number"),
    "nan": ([(0, 0), (NAN, NAN), (4, 3), (0, 0)], "with a coordinate that is not a finite number"),
    "nan start": ([(NAN, 0), (4, 0), (4, 3), (NAN, 0)], "with a coordinate that is not a finite number"),
    "far": ([(0, 0), (1e300, 0), (4, 3), (0, 0)], "with a corner outside the reference system or too far away"),
}


@pytest.mark.parametrize(("ring", "reason"), BAD.values(), ids=BAD.keys())
def test_one_bad_ring_costs_its_own_polygon_only(ring, reason):
    for read, polygon, several in (
        (from_wkb, lambda rings: as_wkb(3, rings), lambda *polygons: as_wkb(6, *polygons)),
        (
            from_json,
            lambda rings: {"type": "Polygon", "coordinates": rings},
            lambda *polygons: {"type": "MultiPolygon", "coordinates": polygons},
        ),
    ):
        found = read(polygon([SQUARE]), polygon([ring]), several([SQUARE], [ring], [FAR]), polygon([FAR]))
        assert found.faults == {1: reason, 2: reason}
        assert found.owners.tolist() == [0, 2, 2, 3]
        assert shapely.area(found.polygons).tolist() == [12, 12, 1.5, 1.5]


def test_a_bad_hole_costs_its_polygon_unless_it_has_no_area():
    open_hole, no_hole = HOLE[:-1], [HOLE[0], HOLE[1], HOLE[0]]
    found = from_wkb(as_wkb(3, [SQUARE, HOLE]), as_wkb(3, [SQUARE, open_hole]), as_wkb(3, [SQUARE, HOLE, no_hole[:2]]))
    assert found.owners.tolist() == [0, 2]
    assert shapely.area(found.polygons).tolist() == [11.5, 11.5]
    assert found.faults == {1: "with an open ring"}


def test_what_is_no_area_is_said_to_be_none():
    texts = [shapely.to_wkb(shape) for shape in (shapely.Point(1, 1), shapely.LineString(SQUARE), shapely.Polygon())]
    found = from_wkb(*texts, None, as_wkb(3, [[(0, 0), (4, 0), (8, 0), (0, 0)]]))
    assert len(found.polygons) == 0
    no, flat = "without geometry", "not an area"
    assert found.faults == {0: flat, 1: flat, 2: no, 3: no, 4: flat}


def lifted(ring, height):
    return [(x, y, height) for x, y in ring]


WALL = [(0, 0, 0), (4, 0, 0), (4, 0, 9), (0, 0, 9), (0, 0, 0)]


@pytest.mark.parametrize("kind", [6, 7, 15])
def test_a_solid_becomes_its_ground(kind):
    roofs = [lifted([(0, 0), (2, 0), (2, 3), (0, 3), (0, 0)], 9), lifted([(2, 0), (4, 0), (4, 3), (2, 3), (2, 0)], 9)]
    found = from_wkb(as_wkb(kind, [lifted(SQUARE, 0)], [WALL], *([roof] for roof in roofs), z=True))
    assert [shape.equals(box(0, 0, 4, 3)) for shape in found.polygons] == [True]
    assert found.faults == {}


def test_triangles_become_their_ground():
    triangles = [[lifted([SQUARE[0], *SQUARE[i : i + 2], SQUARE[0]], i)] for i in (1, 2)]
    found = from_wkb(as_wkb(16, *triangles, z=True), as_wkb(17, *triangles[:1], z=True), as_wkb(15, [WALL], z=True))
    assert found.owners.tolist() == [0, 1]
    assert shapely.area(found.polygons).tolist() == [12, 6]
    assert found.faults == {2: "not an area"}


def test_heights_do_not_join_valid_polygons():
    found = from_wkb(as_wkb(6, [lifted(SQUARE, 1)], [lifted(FAR, 2)], z=True))
    assert shapely.area(found.polygons).tolist() == [12, 1.5]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": "0 0"},
        {"type": "Tin", "coordinates": [[SQUARE]]},
        {"type": ["Polygon"], "coordinates": [SQUARE]},
        "POLYGON",
        [SQUARE],
        7,
    ],
)
def test_json_that_is_no_geometry(geometry):
    assert from_json(geometry).faults == {0: "with a geometry that cannot be read"}


@pytest.mark.parametrize("point", [["1", "2"], [True, 1], [None, 2], [1], 3, "1 2", {}, [[1, 2], 3], [10**400, 0]])
def test_json_coordinates_that_are_no_numbers(point):
    found = from_json({"type": "Polygon", "coordinates": [[SQUARE[0], point, *SQUARE[2:]]]})
    assert found.faults == {0: "with a coordinate that is not a finite number"}


def test_damaged_binaries_and_unknown_types_are_unreadable():
    whole = as_wkb(15, [lifted(SQUARE, 0)], z=True)
    claims = struct.pack("<BII", 1, 15, 2**32 - 1)
    for text in (whole[:-5], whole[:7], b"", struct.pack("<BI", 1, 99), claims):
        assert from_wkb(text).faults == {0: "with a geometry that cannot be read"}


def test_big_endian_and_extended_binaries():
    shape = MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)])
    spatial = shapely.force_3d(shape, 7.0)
    for flavor in ("iso", "extended"):
        for order in (0, 1):
            text = shapely.to_wkb(spatial, byte_order=order, flavor=flavor)
            assert wkb_parts(text).is_spatial
            assert [rings[0].tolist() for rings in wkb_parts(text).polygons] == [
                np.array(part.exterior.coords)[:, :2].tolist() for part in shape.geoms
            ]


@given(st.binary(max_size=60), st.integers(0, 20), st.booleans())
def test_any_bytes_are_read_or_refused(data, kind, z):
    for text in (data, struct.pack("<BI", 1, kind + 1000 * z) + data):
        found = from_wkb(text, as_wkb(3, [SQUARE]))
        assert 1 in found.owners
        assert shapely.is_valid(found.polygons).all()


_NUMBERS = st.one_of(st.integers(-3, 3), st.floats(), st.sampled_from([1e308, -1e308, 1e-320, 99.0, 1e12]))
_RING = st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=6).map(lambda ring: ring + ring[:1])


@given(st.lists(st.lists(st.lists(_RING, max_size=3), min_size=1, max_size=3), max_size=3), st.sampled_from([3, 6, 7]))
def test_any_coordinates_give_valid_polygons_or_a_reason(features, kind):
    found = from_wkb(*(as_wkb(kind, *polygons) for polygons in features))
    assert shapely.is_valid(found.polygons).all()
    assert set(found.owners.tolist()) | set(found.faults) == set(range(len(features)))
    moved = found.mapped(lambda points: points * (1e9, 1e-9), most=1e10)
    assert shapely.is_valid(moved.polygons).all()
    assert np.abs(shapely.get_coordinates(moved.polygons)).max(initial=0) <= 1e10
    assert set(moved.owners.tolist()) | set(moved.faults) == set(range(len(features)))


def test_each_leaves_out_only_what_geos_gives_up_on():
    def refuse(shapes):
        if any(shape.area == 2 for shape in np.atleast_1d(shapes)):
            raise shapely.errors.GEOSException("no")
        return shapely.centroid(shapes)

    shapes = np.array([box(0, 0, 1, 1), box(0, 0, 1, 2), box(0, 0, 3, 3)], object)
    first, second, third = each(refuse, shapes)
    assert (first.x, second, third.x) == (0.5, None, 1.5)
