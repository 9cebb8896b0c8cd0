"""Outlines made simple, without a gap between neighbours.

Outlines are cut where three or more walls meet, and each piece is simplified once for both sides (D. H. Douglas and
T. K. Peucker, 1973): a wall that two roofs share stays one wall.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import shapely
from shapely import LineString, Polygon

from rooftop.polygons.walls import Corner, Points, Ring, Wall, Walls, key, sides, unsound

Piece = tuple[Corner, ...]
Kept = tuple[Ring, dict[tuple[Corner, Corner], Wall]]
_LEAST = 0.1  # pixels; with a smaller tolerance nothing is left to simplify


def simplified(polygons: Sequence[Polygon], tolerance: float) -> Walls:
    """Simplify roofs that touch, all together.

    Args:
        polygons: on the pixel grid, as `polygonise_labels` gives them.
        tolerance: by how many pixels a wall may leave the stepped outline; halved for roofs that it would spoil.
    """
    stepped = [[_steps(ring) for ring in (polygon.exterior, *polygon.interiors)] for polygon in polygons]
    junctions = _junctions([ring for rings in stepped for ring in rings])
    pieces = [[_pieces(ring, junctions) for ring in rings] for rings in stepped]
    tolerances = np.full(len(polygons), float(tolerance))
    kept = lru_cache(None)(lambda piece, tolerance: _kept(_middles(piece, junctions), tolerance))
    while True:
        found = _with_tolerances(pieces, tolerances, kept)
        spoilt = unsound(found.polygons())
        if not spoilt.any() or not tolerances[spoilt].any():
            return found
        tolerances[spoilt] /= 2
        tolerances[tolerances < _LEAST] = 0


def _steps(ring: shapely.LinearRing) -> Ring:
    """Each pixel corner along a ring, once."""
    return [(int(x), int(y)) for x, y in shapely.get_coordinates(shapely.segmentize(ring, 1.0))[:-1]]


def _junctions(rings: list[Ring]) -> set[Corner]:
    """Corners where more than two different steps end."""
    steps = {key(*side) for ring in rings for side in sides(ring)}
    ends, count = np.unique(np.array([end for step in steps for end in step]), axis=0, return_counts=True)
    return {(int(x), int(y)) for x, y in ends[count > 2]}


def _with_tolerances(pieces: list[list[list[Ring]]], tolerances: Points, kept: Callable[[Piece, float], Kept]) -> Walls:
    """A wall between two roofs gets the smaller of their tolerances."""
    least: dict[Piece, float] = {}
    for roof, rings in enumerate(pieces):
        for piece in (piece for ring in rings for piece in ring):
            least[_same(piece)] = min(least.get(_same(piece), math.inf), float(tolerances[roof]))
    simple = {piece: kept(piece, tolerance) for piece, tolerance in least.items()}
    result = Walls()
    for _, walls in simple.values():
        result.walls.update(walls)
    result.rings = [[_ring(ring, simple) for ring in rings] for rings in pieces]
    result.at = {(x, y): (x / 2, y / 2) for rings in result.rings for ring in rings for x, y in ring}
    return result


def _ring(pieces: list[Ring], simple: dict[Piece, Kept]) -> Ring:
    """A ring out of its simplified pieces, each turned as the ring runs."""
    corners: Ring = []
    for piece in pieces:
        same = _same(piece)
        kept = simple[same][0]
        corners += (kept if same == tuple(piece) else kept[::-1])[:-1]
    return corners


def _same(piece: Ring) -> Piece:
    """A piece, turned the same way for both sides of it."""
    return tuple(piece) if (piece[0], piece[1]) <= (piece[-1], piece[-2]) else tuple(piece[::-1])


def _pieces(ring: Ring, junctions: set[Corner]) -> list[Ring]:
    """A ring cut at junctions; without any, at a corner that both sides of it would choose: the outermost."""
    cuts = [i for i, corner in enumerate(ring) if corner in junctions]
    if not cuts:
        away = np.array(ring) - np.mean(ring, axis=0)
        cuts = [max(range(len(ring)), key=lambda i: (float(away[i] @ away[i]), ring[i]))]
    closed = ring[cuts[0] :] + ring[: cuts[0] + 1]
    inner = [cut - cuts[0] for cut in cuts] + [len(ring)]
    return [closed[start : end + 1] for start, end in pairwise(inner)]


def _kept(points: Points, tolerance: float) -> Kept:
    """Corners of a simplified piece, both ends among them, and the walls between."""
    simple = shapely.get_coordinates(LineString(points).simplify(tolerance, preserve_topology=False))
    names = [_name(point) for point in points.tolist()]
    place = {name: i for i, name in reversed([*enumerate(names)])}
    at = [place[_name(point)] for point in simple[:-1].tolist()] + [len(points) - 1]
    walls = {key(names[start], names[end]): _wall(points[start : end + 1]) for start, end in pairwise(at)}
    return [names[i] for i in at], walls


def _wall(points: Points) -> Wall:
    """The line through a stepped outline (total least squares); its ends, rounded by the middles, do not count."""
    inner = points[1:-1] if len(points) > 4 else points
    middle = inner.mean(axis=0)
    run, rise = (inner - middle).T
    direction = math.atan2(2 * float(run @ rise), float(run @ run - rise @ rise)) / 2
    return Wall(middle, direction, float(len(points) - 1))


def _middles(piece: Piece, junctions: set[Corner]) -> Points:
    """Middles of the steps of a piece, between its junctions: they lie nearer to the true wall than the corners."""
    corners = np.array(piece, dtype=np.float64)
    middles = (corners[:-1] + corners[1:]) / 2
    ends = (corners[:1], corners[-1:]) if piece[0] in junctions else (middles[:0], middles[:1])
    return np.concatenate([ends[0], middles, ends[1]])


def _name(point: list[float]) -> Corner:
    return int(2 * point[0]), int(2 * point[1])
