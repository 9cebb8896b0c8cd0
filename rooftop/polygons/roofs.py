"""From probabilities to roofs: trace, separate, simplify, square, measure; at constant memory.

Each connected component is a task of its own and depends on nothing but its own pixels. So the roofs are the same for
any windows of the scene and any number of processes.
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

from rooftop.files import atomic_write
from rooftop.polygons.ground import Ground
from rooftop.polygons.processes import parallel_map
from rooftop.polygons.separate import Heights, distances, middles, parted
from rooftop.polygons.simplify import simplified
from rooftop.polygons.square import squared
from rooftop.polygons.tiled import TILE, Labelled, components, gathered, separate_large
from rooftop.polygons.walls import Points
from rooftop.raster.probability import STEP, at_least
from rooftop.raster.rasterise import rasterise
from rooftop.raster.targets import ROOF
from rooftop.raster.windows import Window, tiles

_LARGEST = 4096  # pixels: a longer or wider component is separated tile by tile
_SURER = (0.3, 0.6, 0.8, 0.9)  # further thresholds, as shares of the way from the threshold to 1
Values = NDArray[np.uint8]
Channels = dict[str, Values]
"""Stored probabilities of one category, uint8 (h, w), by name of the target."""


@dataclass(frozen=True)
class Layers:
    """Stored probabilities (`rooftop.raster.probability`) of a scene, read by window.

    Attributes:
        read: reads uint8 (T K, h, w) in a window; layer t K + k is target t of category k.
        shape: (T K, height, width).
        targets: names of the T targets, roof first.
    """

    read: Callable[[Window], Values]
    shape: tuple[int, int, int]
    targets: Sequence[str] = (ROOF,)

    @classmethod
    def of(cls, values: Values, targets: Sequence[str] = (ROOF,)) -> "Layers":
        """Layers of values in memory, uint8 (T K, H, W)."""
        layers, height, width = values.shape
        return cls(partial(_cut_out, values), (layers, height, width), targets)

    @property
    def categories(self) -> int:
        """K."""
        return self.shape[0] // len(self.targets)

    def channels(self, category: int, window: Window) -> Channels:
        """Read the targets of one category in a window."""
        return dict(zip(self.targets, self.read(window)[category :: self.categories], strict=True))


def _cut_out(values: Values, window: Window) -> Values:
    rows, columns = window.slices
    return values[:, rows, columns]


@dataclass(frozen=True)
class Shaping:
    """How probabilities become polygons; see `conf/polygons/`.

    Attributes:
        separate: cut necks narrower than this share of the smaller part's width; None: touching roofs stay one.
        tolerance: largest distance in pixels between a wall and the stepped outline; 0: every step stays.
        angle: in degrees: walls within this angle of the roof's direction become right-angled; None: no wall.
        shift: in pixels, how far squaring may move a corner.
        min_area: in square metres (pixels, if the ground is unknown): smaller roofs are dropped.
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
        polygon: pixel frame, with holes, valid.
        category: index of the category.
        confidence: mean probability inside, in [0, 1].
        area: in square metres, or pixels if the ground is unknown.
        perimeter: of the outline, in metres or pixels.
        orientation: of the long side: degrees in [0, 180), clockwise from north, or from up.
    """

    polygon: Polygon
    category: int
    confidence: float
    area: float
    perimeter: float
    orientation: float


def find_roofs(layers: Layers, *, threshold: float, shaping: Shaping, ground: Ground) -> Iterator[Roof]:
    """Find roofs, category by category, in the order their last pixels are read from top to bottom.

    Args:
        layers: probabilities by window.
        threshold: lowest probability of a roof pixel.
        shaping: how they become polygons.
        ground: size of a pixel on the ground.
    """
    for category in range(layers.categories):
        finder = _Finder(layers, category, threshold, shaping, ground)
        found = components(*layers.shape[1:], finder.mask)
        large = (component for component in found if ground.roughly(component.area) >= shaping.min_area)
        for roofs in parallel_map(finder.roofs, large):
            yield from (roof for roof in roofs if roof.area >= shaping.min_area)


@dataclass(frozen=True)
class _Finder:
    """Find the roofs of one category; arguments of `find_roofs`."""

    layers: Layers
    category: int
    threshold: float
    shaping: Shaping
    ground: Ground

    def mask(self, window: Window) -> Values:
        """Read the mask, uint8 (h, w), 1 = roof."""
        return at_least(self.layers.channels(self.category, window)[ROOF], self.threshold)

    def roofs(self, outline: Polygon) -> list[Roof]:
        """Separate, simplify, square and measure the roofs of one component, given by its outline."""
        left, top, right, bottom = map(int, outline.bounds)
        component = _Component(
            outline, self.layers, self.category, self.threshold, Window(left, top, right - left, bottom - top)
        )
        polygons, means = zip(*gathered(component.labelled(self.shaping.separate)), strict=True)
        shaped = _shaped(polygons, self.shaping, self.ground.stretch(outline))
        return [
            self._measured(_inside(_moved(polygon, left, top), *self.layers.shape[1:]), STEP * mean)
            for polygon, mean in zip(shaped, means, strict=True)
        ]

    def _measured(self, polygon: Polygon, confidence: float) -> Roof:
        ground, least = self.ground, self.shaping.min_hole
        holes = [hole for hole in polygon.interiors if ground.roughly(Polygon(hole).area) >= least]
        filled = Polygon(polygon.exterior, holes)
        return Roof(filled, self.category, confidence, *ground.measure(filled), ground.orientation(filled))


@dataclass(frozen=True)
class _Component:
    """The pixels of one connected component.

    Windows are in its own frame: the upper left corner of its bounds is (0, 0).

    Attributes:
        outline: pixel frame of the scene.
        layers: of the scene.
        category: index of the category.
        threshold: lowest probability of a roof pixel.
        bounds: in pixels of the scene.
    """

    outline: Polygon
    layers: Layers
    category: int
    threshold: float
    bounds: Window

    def channels(self, window: Window) -> Channels:
        """Read the targets in a window."""
        return self.layers.channels(self.category, self._in_scene(window))

    def mask(self, window: Window) -> Values:
        """Draw the component in a window, uint8 (h, w); other components in the window are left out."""
        placed = self._in_scene(window)
        x, y = placed.column, placed.row
        part = shapely.intersection(self.outline, shapely.box(x, y, x + placed.width, y + placed.height))
        pieces = [_moved(piece, -x, -y) for piece in shapely.get_parts(part) if isinstance(piece, Polygon)]
        return rasterise(pieces, window.height, window.width)

    def heights(self, window: Window) -> tuple[Values, Heights]:
        """Return the mask in a window and the heights of its watershed."""
        mask = self.mask(window)
        return mask, _heights(mask, self.channels(window), self.threshold)

    def labelled(self, ratio: float | None) -> Iterator[Labelled]:
        """Separate touching roofs; tile by tile if the component is large.

        Args:
            ratio: as `Shaping.separate`.

        Yields:
            Windows that tile the component, with labels, int32 (h, w), 0 = background, and stored probabilities.
        """
        size = self.bounds.height, self.bounds.width
        large = max(size) > _LARGEST
        if large and ratio is not None:
            for tile, labels in separate_large(*size, self.heights, ratio=ratio):
                yield tile, labels, self.channels(tile)[ROOF]
            return
        for tile in tiles(*size, TILE if large else max(size)):
            mask, channels = self.mask(tile), self.channels(tile)
            if ratio is None:
                labels = mask.astype(np.int32)
            else:
                labels = parted(mask, _heights(mask, channels, self.threshold), ratio=ratio)
            yield tile, labels, channels[ROOF]

    def _in_scene(self, window: Window) -> Window:
        return Window(self.bounds.column + window.column, self.bounds.row + window.row, window.width, window.height)


def _heights(mask: Values, channels: Channels, threshold: float) -> Heights:
    """Heights of the watershed: the learned middles of roofs if the network has them, else distances to the outline."""
    if (middle := _middle(channels)) is not None:
        return middles(mask, middle)
    surer = [at_least(channels[ROOF], threshold + share * (1 - threshold)) & mask for share in _SURER]
    return distances(mask, surer)


def _middle(channels: Channels) -> NDArray[np.float32] | None:
    """Probability of the middle of a roof, in [0, 1]; None: no target for it."""
    share = {name: np.multiply(values, STEP, dtype=np.float32) for name, values in channels.items()}
    if "edge" in share:
        share.setdefault("core", share[ROOF] * (1 - share["edge"]))
    return share.get("core")


def _shaped(polygons: Sequence[Polygon], shaping: Shaping, stretch: Points | None) -> Sequence[Polygon]:
    """Simplify and square polygons; together, so that shared walls stay shared."""
    if not shaping.tolerance:
        return polygons
    walls = simplified(polygons, shaping.tolerance)
    if shaping.angle:
        walls = squared(walls, angle=shaping.angle, shift=shaping.shift, stretch=stretch)
    return walls.polygons()


def _inside(polygon: Polygon, height: int, width: int) -> Polygon:
    """Clip a polygon to the picture: a straightened wall may leave it by a pixel or two."""
    left, top, right, bottom = polygon.bounds
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return polygon
    parts = shapely.get_parts(shapely.intersection(polygon, shapely.box(0, 0, width, height)))
    largest: Polygon = max(parts, key=shapely.area)
    return largest


def _moved(polygon: Polygon, right: int, down: int) -> Polygon:
    return shapely.transform(polygon, lambda corners: np.add(corners, (right, down)))


class Spool:
    """Roofs on disk, one a line: each writer reads them anew, so that memory stays constant.

    Roofs read back are equal to the last bit.

    Args:
        path: of the file.
        roofs: iterated once.
    """

    def __init__(self, path: Path, roofs: Iterable[Roof]) -> None:
        self._path, self._count = path, 0
        with atomic_write(path) as part, part.open("w", encoding="ascii") as file:
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
