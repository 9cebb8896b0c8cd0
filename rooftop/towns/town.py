"""Parts of a town. World frame: metres, x right, y down, origin at the upper left corner of the town."""

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Points = NDArray[np.float64]
"""Corners in the world frame, float64 (n, 2)."""
CORNERS = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def turned(points: Points, angle: float) -> Points:
    """Points turned by `angle` radians, from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    moved: Points = points @ np.array([[c, s], [-s, c]])
    return moved


@dataclass(frozen=True)
class Surface:
    """How something looks from above.

    colour: reflectance of red, green and blue, linear in light, in [0, 1]. grain: strength of fine texture. patches:
    strength of coarse texture. rows: metres from one line of a striped texture to the next, 0 = not striped. contrast:
    strength of the stripes.
    """

    colour: tuple[float, float, float]
    grain: float
    patches: float
    rows: float
    contrast: float


@dataclass(frozen=True)
class Area:
    """A piece of ground; later ones are on top. angle: of its stripes, radians."""

    outline: Points
    surface: Surface
    angle: float


@dataclass(frozen=True)
class Wing:
    """A rectangle under one roof.

    x, y: centre. angle: of the ridge, radians. a, b: half of the length along the ridge and across it. walls: height of
    the eaves. pitch: rise over run. kind: flat, gable, hip or shed. All lengths in metres.
    """

    x: float
    y: float
    angle: float
    a: float
    b: float
    walls: float
    pitch: float
    kind: str

    @property
    def outline(self) -> Points:
        """The four corners."""
        corners: Points = np.add(turned(CORNERS * (self.a, self.b), self.angle), (self.x, self.y))
        return corners


@dataclass(frozen=True)
class Building:
    """One or two wings under one kind of covering."""

    wings: tuple[Wing, ...]
    surface: Surface

    @property
    def footprint(self) -> Polygon:
        """The exact outline, world frame."""
        found = shapely.union_all([Polygon(wing.outline) for wing in self.wings])
        assert isinstance(found, Polygon)
        return found


@dataclass(frozen=True)
class Thing:
    """A box on the surface below it: a car, a chimney, a solar panel, a wall. height: of itself, metres."""

    outline: Points
    height: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Tree:
    """A crown, lit like a lumpy dome. radius and height in metres."""

    x: float
    y: float
    radius: float
    height: float
    colour: tuple[float, float, float]


@dataclass
class Town:
    """The complete plan, in drawing order.

    width, height: of the fully planned ground, in metres; things continue a little beyond it. base: ground below
    all areas: the streets.
    """

    width: float
    height: float
    base: Surface
    areas: list[Area] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
