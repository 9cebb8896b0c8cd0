"""Squares of ground that a person should look at first: the layer `check_first`.

A scene is cut into squares along its rows and columns. `candidates` measures each of them at constant memory: its
probabilities, its roofs, its colours. `choose` takes the most useful ones. Both depend on the stored probabilities and
the roofs alone, so the squares are the same for any number of processes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.polygons.check_first import Square
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers, Roof
from rooftop.raster.georeference import Georeference
from rooftop.raster.probability import NODATA, STEP, at_least
from rooftop.raster.region import Region
from rooftop.raster.windows import Window

Numbers = NDArray[np.float64]
Shapes = NDArray[np.object_]
_LEAST_DATA = 0.6  # share of a square's pixels with data
_BAND = 0.15  # probabilities that near the threshold are unsure
_COMMON = 0.001  # share of a square that another one may cover: roundings of two sheets side by side
_SEEN = 64  # pixels along a side of a square, at most, whose colours count
_DEGREE = 111_195.0  # metres on the ground
_LEVELS = np.arange(256, dtype=np.uint8)  # all stored probabilities


@dataclass(frozen=True)
class Check:
    """How many squares to look at first.

    Attributes:
        count: largest number of squares.
        size: their side in metres.
    """

    count: int
    size: float


class Measured(NamedTuple):
    """What is known of N squares, each float64 (N,).

    Attributes:
        longitude: of the middle, in degrees on WGS 84.
        latitude: likewise.
        data: share of the pixels of a whole square that have data.
        roof: share of these that are roof.
        probability: their mean probability.
        uncertainty: their mean of 4 p (1 - p).
        unsure: share of these with a probability near the threshold.
        border: sides between a roof pixel and another one, for each pixel with data.
        roofs: number of roofs whose centroid lies inside.
        confidence: mean confidence of these roofs; 0: none.
        confidence_spread: standard deviation of their confidence.
        red: mean, 0 to 255.
        green: likewise.
        blue: likewise.
        red_spread: standard deviation.
        green_spread: likewise.
        blue_spread: likewise.
    """

    longitude: Numbers
    latitude: Numbers
    data: Numbers
    roof: Numbers
    probability: Numbers
    uncertainty: Numbers
    unsure: Numbers
    border: Numbers
    roofs: Numbers
    confidence: Numbers
    confidence_spread: Numbers
    red: Numbers
    green: Numbers
    blue: Numbers
    red_spread: Numbers
    green_spread: Numbers
    blue_spread: Numbers


# --- choose ---

_KIND = ("roof", "border", "confidence", "red", "green", "blue", "green_spread")  # of ground
_NEAR = 2.0  # sides of a square
_ALIKE = 0.5  # standard deviations of a measured number
_LOST = 0.9  # share of its worth that a square loses if one exactly like it is chosen
_FLOOR = 0.02  # worth of sure ground: if all ground is sure, the squares still spread
_UPPER = 0.75  # quantile above which a number is a reason


def choose(measured: Measured, count: int, size: float) -> list[tuple[int, str]]:
    """Choose squares to look at first, and say why.

    A square is worth its uncertainty (uncertainty sampling, Lewis and Gale 1994). The best one is taken; then squares
    near it, and squares of the same kind of ground, lose worth, and so on: greedy choice for worth and spread
    (Wei, Iyer and Bilmes, ICML 2015; Sener and Savarese 2018, arXiv 1708.00489).

    Args:
        measured: N squares.
        count: largest number of squares.
        size: side of a square in metres.

    Returns:
        Number of each chosen square and the reason in plain words, the most useful first.
    """
    if not len(measured.data):
        return []
    places, kinds = _metres(measured) / (_NEAR * size), _kinds(measured)
    worth = measured.data * (measured.uncertainty + _FLOOR)
    chosen: list[int] = []
    while len(chosen) < min(count, len(worth)):
        best = int(np.argmax(worth))
        chosen.append(best)
        near = np.exp(-((places - places[best]) ** 2).sum(axis=1) / 2)
        alike = np.exp(-((kinds - kinds[best]) ** 2).mean(axis=1) / (2 * _ALIKE**2))
        worth = worth * (1 - near) * (1 - _LOST * alike)
        worth[chosen] = -1
    reasons = _reasons(measured, kinds)
    return [(number, reasons[number]) for number in chosen]


def _metres(measured: Measured) -> Numbers:
    """East and north of the first square in metres, (N, 2)."""
    east = (measured.longitude - measured.longitude[:1] + 180) % 360 - 180
    north = measured.latitude - measured.latitude[:1]
    return _DEGREE * np.column_stack([east * np.cos(np.radians(measured.latitude)), north])


def _kinds(measured: Measured) -> Numbers:
    """Standard scores (N, F) of the numbers that tell kinds of ground apart."""
    numbers = np.column_stack([getattr(measured, name) for name in _KIND])
    spread = numbers.std(axis=0)
    return np.asarray((numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1))


def _reasons(measured: Measured, kinds: Numbers) -> list[str]:
    """For each square, what is special about it among all of them."""
    unlike = np.sqrt((kinds**2).mean(axis=1))
    found = [
        ("unsure: many pixels near the threshold", _high(measured.unsure)),
        ("many roofs", _high(measured.roofs)),
        ("unlike the other ground", _high(unlike)),
        ("no roofs found", measured.roofs == 0),
    ]
    named = ["; ".join(words for words, holds in found if holds[i]) for i in range(len(unlike))]
    return [words or "typical of this ground" for words in named]


def _high(numbers: Numbers) -> NDArray[np.bool_]:
    return np.asarray((numbers >= np.quantile(numbers, _UPPER)) & (numbers > numbers.mean()))


# --- candidates ---


@dataclass(frozen=True)
class Candidates:
    """The squares of one source, or of several on one map.

    Attributes:
        shapes: Polygons (N,) in the pixel frame, cut at the border of the area.
        measured: numbers of each.
    """

    shapes: Shapes
    measured: Measured

    def first(self, check: Check, ground: Ground) -> list[Square]:
        """Choose squares; `ground` is that of the pixel frame."""
        chosen = ((self.shapes[number], reason) for number, reason in choose(self.measured, check.count, check.size))
        return [Square(shape, reason, ground.measure(shape)[0]) for shape, reason in chosen]


class _Grid:
    """Squares over a raster, in rows from the upper left corner; the last of a row or column may be smaller.

    Args:
        raster: (height, width) in pixels.
        cell: (height, width) of a square in pixels.
    """

    def __init__(self, raster: tuple[int, int], cell: tuple[int, int]) -> None:
        self.raster, self.cell = raster, cell
        self._columns = -(-raster[1] // cell[1])

    @classmethod
    def of(cls, raster: tuple[int, int], place: Georeference, size: float) -> "_Grid":
        """Squares of `size` metres on the ground in the middle of the raster."""
        wide, high = place.pixel_sides(*raster)
        return cls(raster, (max(1, round(size / high)), max(1, round(size / wide))))

    def windows(self) -> Iterator[Window]:
        """Yield the squares."""
        (height, width), (down, across) = self.raster, self.cell
        for row in range(0, height, down):
            for column in range(0, width, across):
                yield Window(column, row, min(across, width - column), min(down, height - row))

    def number(self, x: float, y: float) -> int:
        """Number of the square around a point of the raster."""
        row = min(max(int(y), 0), self.raster[0] - 1) // self.cell[0]
        return row * self._columns + min(max(int(x), 0), self.raster[1] - 1) // self.cell[1]


def candidates(
    layers: Layers,
    place: Georeference,
    roofs: Iterable[Roof],
    picture: tuple[NDArray[np.uint8], NDArray[np.bool_]],
    *,
    threshold: float,
    size: float,
    inside: Region | None = None,
) -> Candidates:
    """Cut a scene into squares and measure those with data, one square in memory at a time.

    Args:
        layers: probabilities by window, without data outside the area.
        place: georeference of their pixel frame.
        roofs: in that frame; iterated once.
        picture: the scene at lower resolution, uint8 (h, w, 3), and its valid pixels, bool (h, w).
        threshold: lowest probability of a roof pixel.
        size: side of a square in metres.
        inside: the area; None: everywhere.
    """
    grid = _Grid.of((layers.shape[1], layers.shape[2]), place, size)
    found: dict[int, list[float]] = {}
    shapes: dict[int, BaseGeometry] = {}
    for number, window in enumerate(grid.windows()):
        measured = _probabilities(layers, window, threshold, whole=grid.cell[0] * grid.cell[1])
        shape = _shape(window, inside) if measured[0] >= _LEAST_DATA else None
        if shape is not None:
            shapes[number] = shape
            found[number] = [*measured, 0.0, 0.0, 0.0, *_colours(window, grid.raster, *picture)]
    counted = _of_roofs(roofs, grid)
    for number in found.keys() & counted.keys():
        found[number][6:9] = counted[number]
    middles = np.array([shapely.get_coordinates(shapely.centroid(each))[0] for each in shapes.values()]).reshape(-1, 2)
    numbers = np.array([*found.values()], np.float64).reshape(len(found), len(Measured._fields) - 2)
    return Candidates(_array(shapes.values()), Measured(*place.to_lonlat(middles).T, *numbers.T))


def _probabilities(layers: Layers, window: Window, threshold: float, *, whole: int) -> list[float]:
    """`data` to `border` of `Measured`; `whole`: pixels of a whole square."""
    values = layers.read(window)[: layers.categories].max(axis=0)
    counts = np.bincount(values.ravel(), minlength=256)[:NODATA]  # all sums over pixels follow from 255 counts
    pixels, levels = max(1, int(counts.sum())), _LEVELS[:NODATA] * STEP
    mask = at_least(values, threshold)
    sides = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    sums = (
        counts @ at_least(_LEVELS[:NODATA], threshold),
        counts @ levels,
        counts @ (4 * levels * (1 - levels)),
        counts @ (np.abs(levels - threshold) < _BAND),
        sides,
    )
    return [counts.sum() / whole, *(float(total) / pixels for total in sums)]


def _shape(window: Window, inside: Region | None) -> BaseGeometry | None:
    """A square in the pixel frame, its largest part inside the area; None: no part."""
    x, y = window.column, window.row
    square = shapely.box(x, y, x + window.width, y + window.height)
    if inside is None:
        return square
    parts = shapely.get_parts(shapely.intersection(square, inside.shape))
    polygons = [part for part in parts if isinstance(part, Polygon)]
    return max(polygons, key=shapely.area, default=None)


def _colours(
    window: Window, raster: tuple[int, int], picture: NDArray[np.uint8], valid: NDArray[np.bool_]
) -> list[float]:
    """Mean and standard deviation of red, green and blue in a square, from a smaller picture of the raster."""
    down, across = picture.shape[0] / raster[0], picture.shape[1] / raster[1]
    top, left = int(window.row * down), int(window.column * across)
    bottom = max(top + 1, int((window.row + window.height) * down))
    right = max(left + 1, int((window.column + window.width) * across))
    rows, columns = slice(top, bottom, 1 + (bottom - top) // _SEEN), slice(left, right, 1 + (right - left) // _SEEN)
    pixels = picture[rows, columns][valid[rows, columns]]
    return [*pixels.mean(axis=0), *pixels.std(axis=0)] if len(pixels) else [0.0] * 6


def _of_roofs(roofs: Iterable[Roof], grid: _Grid) -> dict[int, tuple[float, float, float]]:
    """By square: number of roofs whose centroid lies inside, mean and standard deviation of their confidence."""
    sums: dict[int, Numbers] = {}
    for roof in roofs:
        middle = shapely.centroid(roof.polygon)
        number = grid.number(middle.x, middle.y)
        sums[number] = np.add(sums.get(number, np.zeros(3)), (1, roof.confidence, roof.confidence**2))
    return {
        number: (count, total / count, float(np.sqrt(max(0.0, squares / count - (total / count) ** 2))))
        for number, (count, total, squares) in sums.items()
    }


def on_one_map(sheets: Sequence[Candidates]) -> Candidates:
    """The squares of several sheets, without those that overlap one of an earlier sheet.

    Args:
        sheets: squares in the frame of the map.
    """
    shapes = np.concatenate([sheet.shapes for sheet in sheets])
    owners = np.repeat(np.arange(len(sheets)), [len(sheet.shapes) for sheet in sheets])
    later, earlier = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    across = owners[earlier] < owners[later]
    later, earlier = later[across], earlier[across]
    covers = shapely.area(shapely.intersection(shapes[later], shapes[earlier])) > _COMMON * shapely.area(shapes[later])
    kept = np.ones(len(shapes), bool)
    for other, one in sorted(zip(later[covers].tolist(), earlier[covers].tolist(), strict=True)):
        kept[other] &= not kept[one]  # squares of earlier sheets are decided by now
    columns: list[Any] = [np.concatenate(column)[kept] for column in zip(*(s.measured for s in sheets), strict=True)]
    return Candidates(shapes[kept], Measured(*columns))


def _array(shapes: Iterable[BaseGeometry]) -> Shapes:
    given = [*shapes]
    array = np.empty(len(given), dtype=object)
    array[:] = given
    return array
