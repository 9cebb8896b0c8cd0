"""Squares of ground to look at first: a layer beside the roofs, for a person who corrects some of them."""

from typing import NamedTuple

from shapely import Polygon

CHECK_FIRST = "check_first"  # name of the layer
ABOUT = "Squares to look at first, the most useful first: correct the roofs in some of them, and set checked to true."


class Square(NamedTuple):
    """One square; its rank is its place in the list.

    Attributes:
        polygon: pixel frame.
        reason: why it was chosen, for people.
        area: in square metres.
    """

    polygon: Polygon
    reason: str
    area: float
