"""From probabilities to roofs: trace, separate, simplify, square, measure; at constant memory.

Each connected component is a task of its own and depends on nothing but its own pixels. So the roofs are the same for
any windows of the scene and any number of processes.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeGuard

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.errors import ConfigError
from rooftop.files import atomic_write
from rooftop.polygons.ground import Ground
from rooftop.polygons.processes import parallel_map
from rooftop.polygons.regions import LEARNED_AT, Join, Likeness, by_likeness, by_ratio
from rooftop.polygons.separate import Surface, by_core, by_depth, labelled
from rooftop.polygons.simplify import simplified
from rooftop.polygons.square import squared
from rooftop.polygons.tiled import TILE, Labelled, components, gathered, separate_large
from rooftop.polygons.walls import Points
from rooftop.raster.probability import STEP, at_least
from rooftop.raster.rasterise import rasterise
from rooftop.raster.targets import ROOF
from rooftop.raster.windows import Window, tiles

_LARGEST = 4096  # pixels: a longer or wider component is separated tile by tile
SURER = (0.3, 0.6, 0.8, 0.9)  # further thresholds, as shares of the way from the threshold to 1
AUTO = "auto"
Separate = Likeness | Literal["auto"] | float | None
WITHOUT_LIKENESS = 0.8  # what "auto" means for a run without a learned decision: settled on Banepa
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
        separate: a learned decision; AUTO: that of the run, see `with_likeness`; a number: cut necks narrower than this
            share of the smaller part's width; None: touching roofs stay one.
        tolerance: largest distance in pixels between a wall and the stepped outline; 0: every step stays.
        angle: in degrees: walls within this angle of the roof's direction become right-angled; None: no wall.
        shift: in pixels, how far squaring may move a corner.
        min_area: in square metres (pixels, if the ground is unknown): smaller roofs are dropped.
        min_hole: in square metres (pixels): smaller holes are filled.
    """

    separate: Separate
    tolerance: float
    angle: float | None
    shift: float
    min_area: float
    min_hole: float

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        separate, angle = self.separate, self.angle
        if (
            separate not in (None, AUTO)
            and not isinstance(separate, Likeness)
            and not (_is_number(separate) and 0 < separate <= 1)
        ):
            raise ConfigError(f"polygons.separate={separate} must be auto, a share above 0 and at most 1, or null.")
        if angle is not None and not 0 <= angle <= 45:
            raise ConfigError(f"polygons.angle={angle} must be degrees from 0 to 45, or null.")
        for key in ("tolerance", "shift", "min_area", "min_hole"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ConfigError(f"polygons.{key}={getattr(self, key)} must be a number, 0 or more.")

    def with_likeness(self, likeness: Likeness | None) -> "Shaping":
        """Resolve AUTO by the learned decision of a run; None: the run has none."""
        return replace(self, separate=likeness or WITHOUT_LIKENESS) if self.separate == AUTO else self


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
        polygons, means = zip(*gathered(component.labelled(self.shaping.separate, self.ground.gsd)), strict=True)
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

    def surface(self, window: Window, *, learned: bool, scale: float) -> Surface:
        """Return the mask in a window and what its watershed climbs on.

        The learned cores of roofs if the network has them, else the distance to the outline.

        Args:
            window: in the component.
            learned: the learned decision follows; it needs depths.
            scale: as for `by_depth`.
        """
        mask, channels = self.mask(window), self.channels(window)
        core, surer = _core(channels), list[Values]()
        if core is None or learned:
            steps = (self.threshold + share * (1 - self.threshold) for share in SURER)
            surer = [at_least(channels[ROOF], step) & mask for step in steps]
        if core is None:
            return by_depth(mask, surer, np.stack([channels[ROOF], np.zeros_like(mask)]))
        values = np.stack([channels[ROOF], (core / STEP).round().astype(np.uint8)])
        return by_core(mask, core, values, surer=surer, scale=scale)

    def labelled(self, separate: Separate, gsd: float | None) -> Iterator[Labelled]:
        """Separate touching roofs; tile by tile if the component is large.

        Args:
            separate: as in `Shaping`.
            gsd: metres per pixel; None: unknown.

        Yields:
            Windows that tile the component, with labels, int32 (h, w), 0 = background, and stored probabilities.
        """
        size = self.bounds.height, self.bounds.width
        large = max(size) > _LARGEST
        for tile, labels in self._tiles(separate, gsd or LEARNED_AT, large=large):
            yield tile, labels, self.channels(tile)[ROOF]

    def _tiles(self, separate: Separate, gsd: float, *, large: bool) -> Iterator[tuple[Window, NDArray[np.int32]]]:
        size = self.bounds.height, self.bounds.width
        if separate is None:
            for tile in tiles(*size, TILE if large else max(size)):
                yield tile, self.mask(tile).astype(np.int32)
            return
        if isinstance(separate, Likeness) and {"core", "edge"} & {*self.layers.targets}:
            join: Join = partial(by_likeness, likeness=separate, pixel=gsd**2)
            look = partial(self.surface, learned=True, scale=LEARNED_AT / gsd)
        else:
            join = partial(by_ratio, ratio=separate if isinstance(separate, int | float) else WITHOUT_LIKENESS)
            look = partial(self.surface, learned=False, scale=1.0)
        if large:
            yield from separate_large(*size, look, join)
        else:
            whole = Window(0, 0, size[1], size[0])
            yield whole, labelled(look(whole), join)

    def _in_scene(self, window: Window) -> Window:
        return Window(self.bounds.column + window.column, self.bounds.row + window.row, window.width, window.height)


def _core(channels: Channels) -> NDArray[np.float32] | None:
    """Probability of the core of a roof, in [0, 1]; None: no target for it."""
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
