"""A town during planning: slightly bent streets, and lots with things on them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rooftop.towns.regions import CARS, LEAVES, Colour, Region, shift, surface
from rooftop.towns.town import CORNERS, Area, Points, Thing, Town, Tree, turned

STEP = 6.0  # metres between the corners of what follows a bent street


def pick(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """A name, by relative weight."""
    weights = np.array(list(shares.values()), float)
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


@dataclass(frozen=True)
class Rect:
    """A rectangle of the straight plan, metres: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> tuple[float, float]:
        """Length along x and along y."""
        return self.x1 - self.x0, self.y1 - self.y0

    def inset(self, by: float) -> "Rect":
        """The same, smaller on each side."""
        return Rect(self.x0 + by, self.y0 + by, self.x1 - by, self.y1 - by)


@dataclass(frozen=True)
class Bend:
    """The straight plan laid on the ground: turned, and bent by two gentle waves."""

    angle: float
    offset: tuple[float, float]
    waves: tuple[tuple[float, float, float], tuple[float, float, float]]  # height (m), length (m), phase

    def __call__(self, points: Points) -> Points:
        """Plan to world."""
        x, y = points.T
        (h0, l0, p0), (h1, l1, p1) = self.waves
        bent = np.stack([x + h0 * np.sin(2 * np.pi * y / l0 + p0), y + h1 * np.sin(2 * np.pi * x / l1 + p1)], axis=1)
        laid: Points = turned(bent, self.angle) + self.offset
        return laid


@dataclass(frozen=True)
class Lot:
    """A stiff frame on the ground.

    x, y: centre, world. angle: radians. width: along the street. depth: from the back (y = -depth / 2) to the street.
    """

    x: float
    y: float
    angle: float
    width: float
    depth: float

    def to_world(self, points: Points) -> Points:
        """Points of the lot, (n, 2)."""
        moved: Points = np.add(turned(points, self.angle), (self.x, self.y))
        return moved

    def box(self, x: float, y: float, a: float, b: float) -> Points:
        """Corners of a rectangle around (x, y) with half lengths a and b, on the ground."""
        return self.to_world(CORNERS * (a, b) + (x, y))

    def holds(self, points: Points) -> bool:
        """Whether points of the ground lie inside the lot."""
        inside = np.abs(turned(points - (self.x, self.y), -self.angle)) <= (self.width / 2, self.depth / 2)
        return bool(inside.all())

    @property
    def whole(self) -> Points:
        """The lot's own corners, on the ground."""
        return self.box(0, 0, self.width / 2, self.depth / 2)


class Sketch:
    """A town in the making; adds ground, things, trees and cars.

    Args:
        rng: draws everything.
        town: is filled.
        region: kind of region.
        bend: plan to world.
        density: share of lots with buildings, in [0, 1].
    """

    def __init__(self, rng: np.random.Generator, town: Town, region: Region, *, bend: Bend, density: float) -> None:
        self.rng, self.town, self.region = rng, town, region
        self.bend, self.density = bend, density

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """A number."""
        return float(self.rng.uniform(low, high))

    def lot(self, rect: Rect, *, turns: int) -> Lot:
        """A rectangle of the plan as a stiff lot; turns: quarter turns of its street side from the bottom."""
        middle = np.array([((rect.x0 + rect.x1) / 2, (rect.y0 + rect.y1) / 2)])
        here, right = self.bend(np.concatenate([middle, np.add(middle, (0.5, 0))]))
        angle = float(np.arctan2(*(right - here)[::-1])) + turns * np.pi / 2
        sides = rect.size if turns % 2 == 0 else rect.size[::-1]
        return Lot(float(here[0]), float(here[1]), angle, *sides)

    def ground(self, outline: Points, name: str, angle: float = 0.0) -> None:
        """A piece of ground of the named surface."""
        self.town.areas.append(Area(outline, surface(self.rng, name), angle))

    def block(self, rect: Rect, name: str, angle: float = 0.0) -> None:
        """Add ground along the bent streets."""
        corners = np.array([(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)])
        parts = [np.linspace(a, b, max(1, int(np.abs(b - a).max() / STEP)), endpoint=False) for a, b in _sides(corners)]
        self.ground(self.bend(np.concatenate(parts)), name, angle)

    def thing(self, outline: Points, height: float, colour: Colour) -> None:
        """Add a box on the surface below it."""
        self.town.things.append(Thing(outline, height, colour))

    def tree(self, x: float, y: float, size: float = 1.0) -> None:
        """A tree at a point of the world."""
        radius = float(np.clip(self.rng.gamma(5, 0.5), 0.8, 6)) * size
        colour = shift(self.rng, LEAVES[int(self.rng.integers(len(LEAVES)))], by=0.1)
        self.town.trees.append(Tree(x, y, radius, radius * self.between(1.4, 2.6), colour))

    def car(self, lot: Lot, x: float, y: float, *, lengthwise: bool) -> None:
        """A car: body, glass, roof; lengthwise: along the lot's x."""
        a, b = self.between(2.0, 2.5), self.between(0.85, 1.0)
        colour = shift(self.rng, CARS[int(self.rng.integers(len(CARS)))])
        for share, height, tint in ((1.0, 0.8, colour), (0.58, 0.4, (0.02, 0.02, 0.025)), (0.36, 0.1, colour)):
            sides = (a * share, b * min(1, share + 0.35))
            self.thing(lot.box(x, y, *(sides if lengthwise else sides[::-1])), height, tint)


def _sides(corners: Points) -> list[tuple[Points, Points]]:
    return list(zip(corners, np.roll(corners, -1, axis=0), strict=True))
