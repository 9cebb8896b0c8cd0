"""Probabilities become roofs: trace, take apart, simplify, square, measure; at constant memory.

Each connected component is a task of its own that depends on nothing but its own pixels, hence roofs do not depend on
how the scene was cut, nor on how many processes do the tasks.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.files import whole
from rooftop.polygons.components import components
from rooftop.polygons.ground import Ground
from rooftop.polygons.large import TILE, Labelled, gathered, separate_large
from rooftop.polygons.separate import Heights, distances, middles, parted
from rooftop.polygons.simplify import simplified
from rooftop.polygons.spread import in_order
from rooftop.polygons.square import squared
from rooftop.polygons.walls import Points
from rooftop.raster.rasterise import rasterise
from rooftop.raster.steps import STEP, at_least
from rooftop.raster.targets import ROOF
from rooftop.raster.windows import Window, tiles

Values = NDArray[np.uint8]
Channels = dict[str, Values]
"""Stored probabilities of one category, uint8 (h, w), by the name of the target."""


@dataclass(frozen=True)
class Layers:
    """Stored probabilities (`rooftop.raster.steps`) of a scene, read by window.

    Attributes:
        read: gives uint8 (T K, h, w) in a window; layer t K + k is target t of category k.
        shape: (T K, height, width).
        targets: names of the T targets, roof first.
    """

    read: Callable[[Window], Values]
    shape: tuple[int, int, int]
    targets: Sequence[str] = (ROOF,)

    @classmethod
    def of(cls, values: Values, targets: Sequence[str] = (ROOF,)) -> "Layers":
        """From values in memory, uint8 (T K, H, W)."""

        def read(window: Window) -> Values:
            rows, columns = window.slices
            return values[:, rows, columns]

        layers, height, width = values.shape
        return cls(read, (layers, height, width), targets)

    @property
    def categories(self) -> int:
        """K."""
        return self.shape[0] // len(self.targets)

    def category(self, k: int) -> Callable[[Window], Channels]:
        """Channels of category `k`, by window."""
        return lambda window: dict(zip(self.targets, self.read(window)[k :: self.categories], strict=True))


_LARGEST = 4096  # pixels: what is longer or wider is looked at tile by tile
Read = Callable[[Window], Channels]
Look = Callable[[Window], tuple[Values, Channels]]
_SURER = (0.3, 0.6, 0.8, 0.9)  # shares of the way from the threshold to certainty


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


def find_roofs(layers: Layers, *, threshold: float, shaping: Shaping, ground: Ground) -> Iterator[Roof]:
    """Roofs, category by category, in the order in which a scene read from top to bottom completes them.

    Args:
        layers: what the network says, by window.
        threshold: probability from which on a pixel is roof.
        shaping: how they become polygons.
        ground: what a pixel is on the ground.
    """
    frame = shapely.box(0, 0, layers.shape[2], layers.shape[1])
    for category in range(layers.categories):
        channels = layers.category(category)

        def roofs(component: Polygon, category: int = category, read: Read = channels) -> list[Roof]:
            outlines = _outlines(component, read, threshold, shaping=shaping, stretch=ground.stretch(component))
            return [_measured(_inside(polygon, frame), (category, mean), shaping, ground) for polygon, mean in outlines]

        found = components(*layers.shape[1:], partial(_mask, channels, threshold))
        large = (component for component in found if ground.roughly(component.area) >= shaping.min_area)
        for some in in_order(roofs, large):
            yield from (roof for roof in some if roof.area >= shaping.min_area)


def _mask(read: Read, threshold: float, window: Window) -> Values:
    return at_least(read(window)[ROOF], threshold)


def _outlines(
    component: Polygon, read: Read, threshold: float, *, shaping: Shaping, stretch: Points | None
) -> Iterator[tuple[Polygon, float]]:
    """Polygons of the roofs of one component, with their mean probability."""
    left, top, right, bottom = map(int, component.bounds)

    def look(window: Window) -> tuple[Values, Channels]:
        """The component in a window of its own bounds, and what is said there."""
        x, y = left + window.column, top + window.row
        part = shapely.intersection(component, shapely.box(x, y, x + window.width, y + window.height))
        pieces = [_moved(piece, -x, -y) for piece in shapely.get_parts(part) if isinstance(piece, Polygon)]
        return rasterise(pieces, window.height, window.width), read(Window(x, y, window.width, window.height))

    polygons, means = zip(
        *gathered(_apart(look, (bottom - top, right - left), threshold, shaping.separate)), strict=True
    )
    for polygon, mean in zip(_shaped(polygons, shaping, stretch), means, strict=True):
        yield _moved(polygon, left, top), STEP * mean


def _apart(look: Look, size: tuple[int, int], threshold: float, ratio: float | None) -> Iterator[Labelled]:
    """Labels of the roofs of one component, and stored probabilities; tile by tile if it is large."""
    whole = max(size) <= _LARGEST
    if whole or ratio is None:
        for tile in tiles(*size, max(size) if whole else TILE):
            mask, channels = look(tile)
            labels = (
                mask.astype(np.int32) if ratio is None else parted(*_heights(mask, channels, threshold), ratio=ratio)
            )
            yield tile, labels, channels[ROOF]
        return
    for tile, labels in separate_large(*size, lambda window: _heights(*look(window), threshold), ratio=ratio):
        yield tile, labels, look(tile)[1][ROOF]


def _heights(mask: Values, channels: Channels, threshold: float) -> tuple[Values, Heights]:
    """A mask, and what parts its roofs: their middles where the network has learned of them, else distances."""
    if (middle := _middle(channels)) is not None:
        return mask, middles(mask, middle)
    surer = [at_least(channels[ROOF], threshold + share * (1 - threshold)) & mask for share in _SURER]
    return mask, distances(mask, surer)


def _middle(channels: Channels) -> NDArray[np.float32] | None:
    """How surely a pixel lies in the middle of a roof, in [0, 1]; None where no target says."""
    share = {name: np.multiply(values, STEP, dtype=np.float32) for name, values in channels.items()}
    if "edge" in share:
        share.setdefault("core", share[ROOF] * (1 - share["edge"]))
    return share.get("core")


def _shaped(polygons: Sequence[Polygon], shaping: Shaping, stretch: Points | None) -> Sequence[Polygon]:
    if not shaping.tolerance:
        return polygons
    walls = simplified(polygons, shaping.tolerance)
    if shaping.angle:
        walls = squared(walls, angle=shaping.angle, shift=shaping.shift, stretch=stretch)
    return walls.polygons()


def _inside(polygon: Polygon, frame: Polygon) -> Polygon:
    """What lies inside the picture: a wall made straight may leave it by a pixel or two."""
    left, top, right, bottom = polygon.bounds
    if left >= 0 and top >= 0 and right <= frame.bounds[2] and bottom <= frame.bounds[3]:
        return polygon
    parts = shapely.get_parts(shapely.intersection(polygon, frame))
    largest: Polygon = max(parts, key=shapely.area)
    return largest


def _measured(polygon: Polygon, found: tuple[int, float], shaping: Shaping, ground: Ground) -> Roof:
    holes = [hole for hole in polygon.interiors if ground.roughly(Polygon(hole).area) >= shaping.min_hole]
    filled = Polygon(polygon.exterior, holes)
    return Roof(filled, *found, *ground.measure(filled), ground.orientation(filled))


def _moved(polygon: Polygon, right: int, down: int) -> Polygon:
    return shapely.transform(polygon, lambda corners: np.add(corners, (right, down)))


class Spool:
    """Roofs, written once and read as often as needed; equal to the last bit."""

    def __init__(self, path: Path, roofs: Iterable[Roof]) -> None:
        self._path, self._count = path, 0
        with whole(path) as part, part.open("w", encoding="ascii") as file:
            for roof in roofs:
                numbers = [roof.category, roof.confidence, roof.area, roof.perimeter, roof.orientation]
                file.write(json.dumps([shapely.to_wkb(roof.polygon, hex=True), *numbers]) + "\n")
                self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Roof]:
        with self._path.open(encoding="ascii") as file:
            for line in file:
                outline, *numbers = json.loads(line)
                yield Roof(shapely.from_wkb(outline), *numbers)
