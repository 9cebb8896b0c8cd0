"""Right angles for nearly rectangular roofs.

Each roof has a main direction. Walls nearly along or across it are aligned exactly: their corners get one common
coordinate, the mean of the stepped outline. Only corners move, and a corner shared by two roofs is one corner:
shared walls stay shared. A wall with too far to move stays: round and oblique roofs keep their shape.
"""

import cmath
import math
from collections.abc import Container
from dataclasses import dataclass, replace

import numpy as np
import shapely

from rooftop.polygons.walls import Corner, Points, Wall, Walls, on_grid, sides, unsound

_ALIKE = math.radians(12)  # a roof takes over the direction of a neighbour that is turned by less


@dataclass(frozen=True)
class _Frame:
    """A roof's own axes.

    Attributes:
        direction: of the first axis, in radians.
        angle: largest angle between a wall and an axis, in radians.
        shift: largest movement of a corner, in pixels.
    """

    direction: float
    angle: float
    shift: float

    @property
    def turn(self) -> Points:
        """Matrix from the pixel frame into this one, for points in rows."""
        cos, sin = math.cos(self.direction), math.sin(self.direction)
        return np.array([[cos, -sin], [sin, cos]])

    def back(self, point: Points) -> tuple[float, float]:
        """A point of this frame in the pixel frame, on the fine grid."""
        return on_grid(point @ self.turn.T)

    def axis(self, one: Points, other: Points) -> int | None:
        """Return the constant coordinate of a wall between two points: 1 along, 0 across, None oblique.

        A wall shorter than the shift is a ripple and never oblique.
        """
        run, rise = np.abs(other - one)
        slope, angle = math.atan2(rise, run), self.angle if math.hypot(run, rise) > self.shift else math.pi / 4
        return 1 if slope <= angle else 0 if slope >= math.pi / 2 - angle else None


def squared(walls: Walls, *, angle: float, shift: float, stretch: Points | None = None) -> Walls:
    """Make corners right-angled, the largest roof first; neighbours adapt to corners placed before.

    Args:
        walls: touching roofs.
        angle: in degrees: walls closer than this to the main direction or its normal are aligned.
        shift: in pixels: corners with farther to move stay.
        stretch: symmetric matrix (2, 2) to square pixels on the ground; None: they are square.

    Returns:
        New walls; a roof stays unchanged if it would become invalid or overlap another.
    """
    if stretch is None:
        return _squared(walls, angle=angle, shift=shift)
    back = np.asarray(np.linalg.inv(stretch), np.float64)
    result = _squared(walls.stretched(stretch), angle=angle, shift=shift).stretched(back)
    result.at = {corner: on_grid(np.array(point)) for corner, point in result.at.items()}
    return walls if unsound(result.polygons()).any() else result


def _squared(walls: Walls, *, angle: float, shift: float) -> Walls:
    result, owners = walls.copy(), walls.owners()
    polygons = np.array(walls.polygons())
    bounds = shapely.bounds(polygons)
    directions: dict[Corner, float] = {}
    frame = _Frame(0.0, math.radians(angle), shift)
    for roof in np.argsort(-shapely.area(polygons), kind="stable").tolist():
        beside = sorted({i for ring in result.rings[roof] for corner in ring for i in owners[corner]})
        before = [[[*ring] for ring in result.rings[i]] for i in beside]
        at = {corner: result.at[corner] for ring in result.rings[roof] for corner in ring}
        direction = _square(result, roof, directions=directions, owners=owners, frame=frame)
        moved = polygons.copy()
        moved[beside] = [result.polygon(i) for i in beside]
        if unsound(moved[_near(bounds, shapely.bounds(moved[roof]), beside)]).any():
            result.at.update(at)
            for i, rings in zip(beside, before, strict=True):
                result.rings[i] = rings
        else:
            polygons, bounds[beside] = moved, shapely.bounds(moved[beside])
        directions.update({corner: direction for ring in result.rings[roof] for corner in ring})
    result.drop_straight(owners)
    return walls if unsound(result.polygons()).any() else result


def _square(
    walls: Walls, roof: int, *, directions: dict[Corner, float], owners: dict[Corner, list[int]], frame: _Frame
) -> float:
    """Make one roof right-angled and set the direction of its corners; corners with a direction are fixed."""
    nearby = [directions[corner] for ring in walls.rings[roof] for corner in ring if corner in directions]
    frame = replace(frame, direction=_direction(walls, roof, nearby, frame.angle))
    _drop_bevels(walls, roof, frame=frame, placed=directions, owners=owners)
    _place(walls, roof, frame=frame, placed=directions)
    return frame.direction


def _near(bounds: Points, own: Points, beside: list[int]) -> list[int]:
    """Return neighbours, and all roofs with bounds meeting a roof's."""
    meet = (bounds[:, :2] <= own[2:]).all(axis=1) & (bounds[:, 2:] >= own[:2]).all(axis=1)
    return sorted({*np.flatnonzero(meet).tolist(), *beside})


def _direction(walls: Walls, roof: int, nearby: list[float], angle: float) -> float:
    """Main direction of a roof in [0, pi / 2): its walls' mean, without oblique ones, or a neighbour's if alike."""
    found = [walls.wall(*pair) for ring in walls.rings[roof] for pair in sides(ring)]
    rough = _mean(found)
    own = _mean([wall for wall in found if _apart(wall.direction, rough) <= angle] or found)
    alike = [other for other in nearby if _apart(other, own) < _ALIKE]
    return alike[0] if alike else own


def _mean(walls: list[Wall]) -> float:
    """Mean direction in [0, pi / 2), long walls counting most."""
    mean = sum(wall.length**2 * cmath.exp(4j * wall.direction) for wall in walls)  # 4: right angles look alike
    return cmath.phase(mean) / 4 % (math.pi / 2)


def _apart(one: float, other: float) -> float:
    """By how much two directions differ, right angles taken as alike."""
    return abs((one - other + math.pi / 4) % (math.pi / 2) - math.pi / 4)


def _drop_bevels(
    walls: Walls, roof: int, *, frame: _Frame, placed: Container[Corner], owners: dict[Corner, list[int]]
) -> None:
    """Restore a right angle cut off by a short oblique wall."""
    for ring in walls.rings[roof]:
        for one in [*ring]:
            if one not in ring or len(ring) < 5:  # dropped as the other end of a bevel
                continue
            i = ring.index(one)
            before, other, behind = (ring[(i + step) % len(ring)] for step in (-1, 1, 2))
            tip = _tip(frame, np.array([walls.at[corner] for corner in (before, one, other, behind)]) @ frame.turn)
            free = one not in placed and other not in placed
            if tip is not None and free and walls.inner(one, owners) and walls.inner(other, owners):
                walls.at[one] = frame.back(tip)
                walls.drop(other, owners)


def _tip(frame: _Frame, corners: Points) -> Points | None:
    """Return the corner of the outer two of three walls (corners (4, 2)), if right-angled and near the inner one."""
    a, b, c, d = corners
    if {frame.axis(a, b), frame.axis(c, d)} != {0, 1} or frame.axis(b, c) is not None:
        return None
    cut = abs(np.prod(c - b)) / np.linalg.norm(c - b)  # distance from the tip to the oblique wall
    return None if cut > frame.shift else np.array([c[0], b[1]] if frame.axis(a, b) else [b[0], c[1]])


def _place(walls: Walls, roof: int, *, frame: _Frame, placed: Container[Corner]) -> None:
    """Lay the walls of one roof along its axes."""
    pairs = [pair for ring in walls.rings[roof] for pair in sides(ring)]
    before = {corner: np.array(walls.at[corner]) @ frame.turn for pair in pairs for corner in pair}
    after = {corner: point.copy() for corner, point in before.items()}
    fixed = {corner for corner in before if corner in placed}
    for axis in (0, 1):
        for line in _lines([pair for pair in pairs if frame.axis(*(before[end] for end in pair)) == axis]):
            ends = {corner for pair in line for corner in pair}
            at = _coordinate(
                walls, line, axis=axis, frame=frame, placed=[before[corner] for corner in sorted(ends & fixed)]
            )
            if at is not None and all(abs(before[corner][axis] - at) <= frame.shift for corner in ends):
                for corner in ends - fixed:
                    after[corner][axis] = at
    walls.at.update({corner: frame.back(point) for corner, point in after.items() if corner not in fixed})


def _lines(pairs: list[tuple[Corner, Corner]]) -> list[list[tuple[Corner, Corner]]]:
    """Group walls connected corner by corner."""
    line_of: dict[Corner, list[tuple[Corner, Corner]]] = {}
    for pair in pairs:
        one, other = (line_of.get(corner, []) for corner in pair)
        line = one + [pair] + (other if other is not one else [])
        line_of.update({corner: line for member in line for corner in member})
    return [*{id(line): line for line in line_of.values()}.values()]


def _coordinate(
    walls: Walls, line: list[tuple[Corner, Corner]], *, axis: int, frame: _Frame, placed: list[Points]
) -> float | None:
    """Return the coordinate of a straight line of walls: of its fixed corners, else of the stepped outline."""
    if placed:
        return float(np.mean([point[axis] for point in placed]))
    found = [walls.wall(*pair) for pair in line]
    middles = np.array([wall.middle for wall in found]) @ frame.turn
    return float(np.average(middles[:, axis], weights=[wall.length for wall in found]))
