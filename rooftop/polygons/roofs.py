"""Probabilities become roofs: trace, take apart, simplify, square, measure; at constant memory.

Each connected component is a task of its own that depends on nothing but its own pixels, hence roofs do not depend on
how the scene was cut, nor on how many processes do the tasks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.polygons.components import components
from rooftop.polygons.ground import Ground
from rooftop.polygons.separate import separate
from rooftop.polygons.simplify import simplified
from rooftop.polygons.spread import in_order
from rooftop.polygons.square import squared
from rooftop.raster.polygonise import polygonise_labels
from rooftop.raster.rasterise import rasterise
from rooftop.raster.steps import STEP, at_least
from rooftop.raster.windows import Window, tiles

_LARGEST = 4096  # pixels: what is longer or wider is no building, and is not taken apart
_SURER = (0.3, 0.6, 0.8, 0.9)  # shares of the way from the threshold to certainty
Values = NDArray[np.uint8]
Read = Callable[[Window], Values]
"""Stored probabilities (`rooftop.raster.steps`) in a window: uint8 (K, h, w)."""


@dataclass(frozen=True)
class Shaping:
    """How probabilities become polygons; `conf/polygons/`.

    Attributes:
        separate: necks narrower than this share of the smaller part's width are cut; None = touching roofs are one.
        tolerance: by how many pixels a wall may leave the stepped outline; 0 = every step stays.
        angle: in degrees: walls that leave the roof's direction by less become right-angled; None = none does.
        shift: in pixels, how far a corner may move for that.
        min_area: in square metres (pixels, where the ground is unknown): smaller roofs are dropped.
        min_hole: in square metres (pixels): smaller holes are filled.
    """

    separate: float | None
    tolerance: float
    angle: float | None
    shift: float
    min_area: float
    min_hole: float


@dataclass(frozen=True)
class Roof:
    """One roof.

    Attributes:
        polygon: pixel frame, holes kept, valid.
        category: index of the category.
        confidence: mean probability inside, in [0, 1].
        area: square metres, or pixels where the ground is unknown.
        perimeter: of the outline, in metres or pixels.
        orientation: degrees in [0, 180) of the long side, clockwise from north, or from up.
    """

    polygon: Polygon
    category: int
    confidence: float
    area: float
    perimeter: float
    orientation: float


def find_roofs(
    read: Read, shape: tuple[int, int, int], *, threshold: float, shaping: Shaping, ground: Ground
) -> Iterator[Roof]:
    """Roofs, category by category, in the order in which a scene read from top to bottom completes them.

    Args:
        read: stored probabilities by window.
        shape: (K, height, width): categories, and the size of the scene in pixels.
        threshold: probability from which on a pixel is roof.
        shaping: how they become polygons.
        ground: what a pixel is on the ground.
    """
    for category in range(shape[0]):

        def values(window: Window, band: int = category) -> Values:
            found: Values = read(window)[band]
            return found

        def roofs(component: Polygon, category: int = category, read: Read = values) -> list[Roof]:
            outlines = _outlines(component, read, threshold, shaping)
            return [_measured(polygon, (category, mean), shaping, ground) for polygon, mean in outlines]

        found = components(*shape[1:], lambda window: at_least(values(window), threshold))
        large = (component for component in found if ground.roughly(component.area) >= shaping.min_area)
        for some in in_order(roofs, large):
            yield from (roof for roof in some if roof.area >= shaping.min_area)


def _outlines(component: Polygon, read: Read, threshold: float, shaping: Shaping) -> Iterator[tuple[Polygon, float]]:
    """Polygons of the roofs of one component, with their mean probability."""
    left, top, right, bottom = map(int, component.bounds)
    if max(right - left, bottom - top) > _LARGEST:
        yield from zip(_shaped([component], shaping), [_mean(component, read)], strict=True)
        return
    values = read(Window(left, top, right - left, bottom - top))
    mask = rasterise([_moved(component, -left, -top)], bottom - top, right - left)
    labels = mask.astype(np.int32) if shaping.separate is None else _apart(mask, values, threshold, shaping.separate)
    names, polygons = zip(*polygonise_labels(labels), strict=True)
    means = ndimage.mean(values, labels, names) * STEP
    for polygon, mean in zip(_shaped(polygons, shaping), means, strict=True):
        yield _moved(polygon, left, top), float(mean)


def _apart(mask: Values, values: Values, threshold: float, ratio: float) -> NDArray[np.int32]:
    """Labels of the roofs of one component, by its mask and by what is surer within it."""
    surer = [at_least(values, threshold + share * (1 - threshold)) & mask for share in _SURER]
    return separate(mask, ratio=ratio, surer=surer)


def _shaped(polygons: Sequence[Polygon], shaping: Shaping) -> Sequence[Polygon]:
    if not shaping.tolerance:
        return polygons
    walls = simplified(polygons, shaping.tolerance)
    return (squared(walls, angle=shaping.angle, shift=shaping.shift) if shaping.angle else walls).polygons()


def _measured(polygon: Polygon, found: tuple[int, float], shaping: Shaping, ground: Ground) -> Roof:
    holes = [hole for hole in polygon.interiors if ground.roughly(Polygon(hole).area) >= shaping.min_hole]
    filled = Polygon(polygon.exterior, holes)
    return Roof(filled, *found, *ground.measure(filled), ground.orientation(filled))


def _mean(component: Polygon, read: Read) -> float:
    """Mean probability of a component that is too large to be looked at as a whole."""
    left, top, right, bottom = map(int, component.bounds)
    total = 0
    shapely.prepare(component)
    for tile in tiles(bottom - top, right - left, 1024):
        x, y = left + tile.column, top + tile.row
        part = shapely.intersection(component, shapely.box(x, y, x + tile.width, y + tile.height))
        pieces = [piece for piece in shapely.get_parts(part) if isinstance(piece, Polygon)]
        mask = rasterise([_moved(piece, -x, -y) for piece in pieces], tile.height, tile.width)
        total += int(read(Window(x, y, tile.width, tile.height))[mask > 0].sum())
    return STEP * total / float(component.area)


def _moved(polygon: Polygon, right: int, down: int) -> Polygon:
    return shapely.transform(polygon, lambda corners: np.add(corners, (right, down)))
