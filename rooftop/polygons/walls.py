"""Neighbouring roofs as one graph of corners and walls: a shared wall is one wall."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Corner = tuple[int, int]
Ring = list[Corner]
Points = NDArray[np.float64]
_GRID = 1024  # steps a pixel has: corners are multiples of 1 / 1024, so that moving a roof on the grid is exact
_STRAIGHT = 2 / _GRID  # pixels, how far a corner on a straight wall may lie beside it


@dataclass(frozen=True)
class Wall:
    """A straight wall, and its part of the stepped outline.

    Attributes:
        middle: float64 (2,), mean of the stepped outline, more exact than either end.
        direction: of the line through the stepped outline, in radians.
        length: of the stepped outline in pixels.
    """

    middle: Points
    direction: float
    length: float

    def stretched(self, matrix: Points) -> "Wall":
        """Transform the wall by `matrix`, symmetric (2, 2)."""
        along = np.array([math.cos(self.direction), math.sin(self.direction)]) @ matrix
        return Wall(self.middle @ matrix, math.atan2(along[1], along[0]), self.length * math.hypot(*along))


@dataclass
class Walls:
    """Touching roofs. A corner's name is its original position in half pixels; `at` is its current one in pixels.

    Attributes:
        rings: for each roof its outline and holes, as names of corners, without the closing one.
        walls: by the names of both ends, the smaller first.
        at: x and y of each corner.
    """

    rings: list[list[Ring]] = field(default_factory=list)
    walls: dict[tuple[Corner, Corner], Wall] = field(default_factory=dict)
    at: dict[Corner, tuple[float, float]] = field(default_factory=dict)

    def polygon(self, roof: int) -> Polygon:
        """The roof as polygon."""
        outline, *holes = ([self.at[corner] for corner in ring] for ring in self.rings[roof])
        return Polygon(outline, holes) if min(map(len, self.rings[roof])) > 2 else Polygon([outline[0]] * 4)

    def polygons(self) -> list[Polygon]:
        """All roofs, in order."""
        return [self.polygon(roof) for roof in range(len(self.rings))]

    def wall(self, one: Corner, other: Corner) -> Wall:
        """The wall between two neighbouring corners."""
        return self.walls[key(one, other)]

    def stretched(self, matrix: Points) -> "Walls":
        """Transform the walls by `matrix`, symmetric (2, 2)."""
        result = self.copy()
        result.walls = {ends: wall.stretched(matrix) for ends, wall in self.walls.items()}
        points = np.reshape([*self.at.values()], (-1, 2)) @ matrix
        result.at = {corner: (x, y) for corner, (x, y) in zip(self.at, points.tolist(), strict=True)}
        return result

    def copy(self) -> "Walls":
        """Another graph of the same walls, to be changed."""
        return Walls([[[*ring] for ring in rings] for rings in self.rings], dict(self.walls), dict(self.at))

    def owners(self) -> dict[Corner, list[int]]:
        """Return the roofs of each corner."""
        found: dict[Corner, list[int]] = {}
        for roof, rings in enumerate(self.rings):
            for corner in {corner for ring in rings for corner in ring}:
                found.setdefault(corner, []).append(roof)
        return found

    def inner(self, corner: Corner, owners: dict[Corner, list[int]]) -> bool:
        """Whether exactly two walls meet in a corner, whether one roof has them or two."""
        meeting: set[Corner] = set()
        for ring in self._rings(corner, owners):
            i = ring.index(corner)
            meeting |= {ring[i - 1], ring[(i + 1) % len(ring)]}
        return len(meeting) == 2

    def drop(self, corner: Corner, owners: dict[Corner, list[int]]) -> None:
        """Merge both walls of an inner corner into one; the longer one gives its line."""
        for ring in self._rings(corner, owners):
            i = ring.index(corner)
            before, behind = ring[i - 1], ring[(i + 1) % len(ring)]
            longer = max(self.wall(before, corner), self.wall(corner, behind), key=lambda wall: wall.length)
            self.walls[key(before, behind)] = longer
            del ring[i]

    def drop_straight(self, owners: dict[Corner, list[int]]) -> None:
        """Drop inner corners without a turn."""
        for ring in [ring for rings in self.rings for ring in rings]:
            for corner in [*ring]:
                i = ring.index(corner)
                a, b, c = (np.array(self.at[end]) for end in (ring[i - 1], corner, ring[(i + 1) % len(ring)]))
                (ax, ay), (bx, by) = b - a, c - a
                straight = abs(ax * by - ay * bx) <= _STRAIGHT * math.hypot(bx, by)
                if straight and len(ring) > 3 and self.inner(corner, owners):
                    self.drop(corner, owners)

    def _rings(self, corner: Corner, owners: dict[Corner, list[int]]) -> list[Ring]:
        return [ring for roof in owners[corner] for ring in self.rings[roof] if corner in ring]


def on_grid(point: Points) -> tuple[float, float]:
    """The nearest point of the fine grid of corners."""
    x, y = np.rint(point * _GRID) / _GRID
    return float(x), float(y)


def sides(ring: Ring) -> list[tuple[Corner, Corner]]:
    """Neighbouring corners, the last with the first."""
    return [*zip(ring, ring[1:] + ring[:1], strict=True)]


def unsound(polygons: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Report the polygons, bool (N,), with faults: invalid, overlapping another, or fitting it badly."""
    misfits = shapely.coverage_invalid_edges(polygons)
    found: NDArray[np.bool_] = ~shapely.is_valid(polygons) | ~shapely.is_empty(misfits)
    return found


def key(one: Corner, other: Corner) -> tuple[Corner, Corner]:
    """The name of the wall between two corners, from whichever side."""
    return (one, other) if one <= other else (other, one)
