"""Simplification of outlines without gaps between neighbours.

Outlines are cut at points with three or more walls, and each piece is simplified once for both sides (D. H. Douglas
and T. K. Peucker, 1973): a shared wall stays one wall. The midpoints of steps are simplified: they are closest to
straight walls. Corners are the intersections of the lines through both walls.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely
from shapely import LineString, Polygon

from rooftop.polygons.walls import Corner, Points, Ring, Wall, Walls, key, on_grid, sides, unsound

Piece = tuple[Corner, ...]
_LEAST = 0.1  # pixels; with a smaller tolerance nothing is left to simplify
_REACH = 2.0  # pixels from the middle of a step, how far a corner may lie: no farther is a sharp one rounded by pixels
_STUB = 3  # pixels: no shorter wall tells its direction
_FEWEST = 4  # walls that a piece keeps
_TRIANGLE = 3  # points of a closed line, its first one twice, that has no area
_PARALLEL = 0.1  # radians: walls that turn by less meet anywhere


class Kept(NamedTuple):
    """A simplified piece.

    Attributes:
        corners: their names, both ends among them.
        walls: between them, by their names.
        at: x and y of each corner in pixels.
    """

    corners: Ring
    walls: dict[tuple[Corner, Corner], Wall]
    at: dict[Corner, tuple[float, float]]


def simplified(polygons: Sequence[Polygon], tolerance: float) -> Walls:
    """Simplify touching roofs, all together.

    Args:
        polygons: on the pixel grid, as `polygonise_labels` gives them.
        tolerance: largest distance of a wall from the stepped outline, in pixels. Spoilt roofs keep their corners
            on the stepped outline; if still spoilt, the tolerance is halved for them.
    """
    stepped = [[_steps(ring) for ring in (polygon.exterior, *polygon.interiors)] for polygon in polygons]
    junctions = _junctions([ring for rings in stepped for ring in rings])
    pieces = [[_pieces(ring, junctions) for ring in rings] for rings in stepped]
    care = [0] * len(polygons)
    kept = lru_cache(None)(lambda piece, care: _kept(piece, junctions, *_way(tolerance, care)))
    while True:
        found = _with_care(pieces, care, kept)
        spoilt = unsound(found.polygons())
        if not any(_way(tolerance, some)[0] for some, bad in zip(care, spoilt, strict=True) if bad):
            return found
        care = [some + int(bad) for some, bad in zip(care, spoilt, strict=True)]


def _way(tolerance: float, care: int) -> tuple[float, bool]:
    """Return the tolerance at this level of care, and the freedom of corners to leave the stepped outline."""
    left = tolerance / 2 ** (care // 2)
    return (left, care % 2 == 0) if left >= _LEAST else (0.0, False)


def _steps(ring: shapely.LinearRing) -> Ring:
    """Each pixel corner along a ring, once."""
    return [(int(x), int(y)) for x, y in shapely.get_coordinates(shapely.segmentize(ring, 1.0))[:-1]]


def _junctions(rings: list[Ring]) -> set[Corner]:
    """Return the corners with more than two different steps."""
    steps = {key(*side) for ring in rings for side in sides(ring)}
    ends, count = np.unique(np.array([end for step in steps for end in step]), axis=0, return_counts=True)
    return {(int(x), int(y)) for x, y in ends[count > 2]}


def _with_care(pieces: list[list[list[Ring]]], care: Sequence[int], kept: Callable[[Piece, int], Kept]) -> Walls:
    """A wall between two roofs gets the greater of their cares."""
    most: dict[Piece, int] = {}
    for roof, rings in enumerate(pieces):
        for piece in (piece for ring in rings for piece in ring):
            most[_same(piece)] = max(most.get(_same(piece), 0), care[roof])
    simple = {piece: kept(piece, care) for piece, care in most.items()}
    result = Walls([[_ring(ring, simple) for ring in rings] for rings in pieces])
    for found in simple.values():
        result.walls.update(found.walls)
        result.at.update(found.at)
    return result


def _ring(pieces: list[Ring], simple: dict[Piece, Kept]) -> Ring:
    """A ring out of its simplified pieces, each turned as the ring runs."""
    corners: Ring = []
    for piece in pieces:
        same = _same(piece)
        kept = simple[same].corners
        corners += (kept if same == tuple(piece) else kept[::-1])[:-1]
    return corners


def _same(piece: Ring) -> Piece:
    """A piece, turned the same way for both sides of it."""
    return tuple(piece) if (piece[0], piece[1]) <= (piece[-1], piece[-2]) else tuple(piece[::-1])


def _pieces(ring: Ring, junctions: set[Corner]) -> list[Ring]:
    """Cut a ring at junctions; without any, at its outermost corner: both sides would choose it."""
    cuts = [i for i, corner in enumerate(ring) if corner in junctions]
    if not cuts:
        away = np.array(ring) - np.mean(ring, axis=0)
        cuts = [max(range(len(ring)), key=lambda i: (float(away[i] @ away[i]), ring[i]))]
    closed = ring[cuts[0] :] + ring[: cuts[0] + 1]
    inner = [cut - cuts[0] for cut in cuts] + [len(ring)]
    return [closed[start : end + 1] for start, end in pairwise(inner)]


def _kept(piece: Piece, junctions: set[Corner], tolerance: float, meet: bool) -> Kept:
    """Simplify a piece; its walls `meet` in its corners, or the corners stay."""
    points = _middles(piece, junctions)
    simple = shapely.get_coordinates(LineString(points).simplify(tolerance, preserve_topology=False))
    if piece[0] == piece[-1] and len(simple) <= _TRIANGLE:
        simple = points  # a hole of a pixel or two: as nothing it would spoil the roof around it
    names = [_name(point) for point in points.tolist()]
    place = {name: i for i, name in reversed([*enumerate(names)])}
    kept = [place[_name(point)] for point in simple[:-1].tolist()] + [len(points) - 1]
    corners = [names[i] for i in kept]
    walls = [_wall(points[start : end + 1]) for start, end in pairwise(kept)]
    at = {name: (x / 2, y / 2) for name in corners for x, y in [name]}
    if meet:
        _drop_stubs(corners, walls, at)
        closed = [] if piece[0] in junctions else [(corners[0], walls[-1], walls[0])]
        for name, one, other in [*zip(corners[1:], walls, walls[1:], strict=False), *closed]:
            at[name] = _meeting(one, other, [at[name]]) or at[name]
    return Kept(corners, {key(*ends): wall for ends, wall in zip(pairwise(corners), walls, strict=True)}, at)


def _drop_stubs(corners: Ring, walls: list[Wall], at: dict[Corner, tuple[float, float]]) -> None:
    """Drop walls too short for a direction if their neighbours meet instead."""
    i = 1
    while i < len(walls) - 1 and len(walls) > _FEWEST:
        ends = [at[corners[i]], at[corners[i + 1]]]
        if walls[i].length <= _STUB and _meeting(walls[i - 1], walls[i + 1], ends):
            del walls[i], corners[i + 1]
        i += 1


def _meeting(one: Wall, other: Wall, points: list[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the intersection of two walls, if it is near the points between them."""
    turn = math.sin(other.direction - one.direction)
    if abs(turn) < _PARALLEL:
        return None
    right, down = other.middle - one.middle
    along = (right * math.sin(other.direction) - down * math.cos(other.direction)) / turn
    tip = one.middle + along * np.array([math.cos(one.direction), math.sin(one.direction)])
    return on_grid(tip) if all(math.dist(tip, point) <= _REACH for point in points) else None


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
