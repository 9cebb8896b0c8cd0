"""Neighbouring roofs as one graph of corners and walls, so that a wall that two roofs share is one wall."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Corner = tuple[int, int]
Ring = list[Corner]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Wall:
    """A straight wall, and the stepped outline that it stands for.

    Attributes:
        middle: float64 (2,), mean of the stepped outline, more exact than either end.
        direction: of the line through the stepped outline, in radians.
        length: of the stepped outline in pixels.
    """

    middle: Points
    direction: float
    length: float


@dataclass
class Walls:
    """Roofs that touch. A corner's name is where it lay, in half pixels; `at` says where it lies now, in pixels.

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

    def copy(self) -> "Walls":
        """Another graph of the same walls, to be changed."""
        return Walls([[[*ring] for ring in rings] for rings in self.rings], dict(self.walls), dict(self.at))

    def inner(self) -> set[Corner]:
        """Corners where exactly two walls meet, whether one roof has them or two."""
        meeting: dict[Corner, set[Corner]] = {corner: set() for corner in self.at}
        for rings in self.rings:
            for ring in rings:
                for one, other in sides(ring):
                    meeting[one].add(other)
                    meeting[other].add(one)
        return {corner for corner, others in meeting.items() if len(others) == 2}

    def drop(self, corner: Corner) -> None:
        """Let the walls before and behind an inner corner become one; the longer one says where it lies."""
        for rings in self.rings:
            for ring in rings:
                if corner in ring:
                    i = ring.index(corner)
                    before, behind = ring[i - 1], ring[(i + 1) % len(ring)]
                    longer = max(self.wall(before, corner), self.wall(corner, behind), key=lambda wall: wall.length)
                    self.walls[key(before, behind)] = longer
                    del ring[i]


def sides(ring: Ring) -> list[tuple[Corner, Corner]]:
    """Neighbouring corners, the last with the first."""
    return [*zip(ring, ring[1:] + ring[:1], strict=True)]


def unsound(polygons: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Which polygons, bool (N,), are invalid, or overlap another or fit it badly."""
    misfits = shapely.coverage_invalid_edges(polygons)
    found: NDArray[np.bool_] = ~shapely.is_valid(polygons) | ~shapely.is_empty(misfits)
    return found


def key(one: Corner, other: Corner) -> tuple[Corner, Corner]:
    """The name of the wall between two corners, from whichever side."""
    return (one, other) if one <= other else (other, one)
