"""Squares of ground that a person should look at first: the layer `check_first`.

A scene is cut into squares along its rows and columns. `candidates` measures each of them at constant memory: its
probabilities and its colours. `choose` takes the most useful ones. They are the same for any number of processes.
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
from rooftop.polygons.roofs import Layers
from rooftop.raster.georeference import Georeference
from rooftop.raster.probability import NODATA, STEP, at_least
from rooftop.raster.region import Region
from rooftop.raster.windows import Window

Numbers = NDArray[np.float64]
Shapes = NDArray[np.object_]
_LEAST_DATA = 0.6  # share of a square's pixels with data
_COMMON = 0.001  # share of a square that another one may cover: roundings of two sheets side by side
_SEEN = 64  # pixels along a side of a square, at most, whose colours count
_DIGITS = 9  # of a score: equal ones stay equal on all machines
_TINY = 1e-9  # spread of numbers that are all alike, but for rounding
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
        roof: share of the pixels with data that are roof.
        uncertainty: their mean of 4 p (1 - p), of the probability p.
        red: mean, 0 to 255.
        green: likewise.
        blue: likewise.
        contrast: standard deviation of the mean of the three.
    """

    longitude: Numbers
    latitude: Numbers
    roof: Numbers
    uncertainty: Numbers
    red: Numbers
    green: Numbers
    blue: Numbers
    contrast: Numbers


# --- choose ---

_LEAST_ROOF = 0.05  # share of roof that a square needs: others teach little (benchmarks/results_adapt.md)
_WORDS = (  # less and more of each number than in the nearest chosen square, for people
    *(("far from the other squares",) * 2, ("far from the other squares",) * 2),
    ("fewer roofs than the others", "more roofs than the others"),
    ("surer than the others", "less sure than the others"),
    *(("ground of another colour",) * 2,) * 3,
    ("smoother ground than the others", "ground of more contrast than the others"),
)


def choose(measured: Measured, count: int) -> list[tuple[int, str]]:
    """Choose squares to look at first, and say why.

    Among squares with roofs: the most typical one, then always the one that differs most from those chosen, by place
    and kind of ground (k-center: Gonzalez 1985; as active learning: Sener and Savarese 2018, arXiv 1708.00489). So
    whoever stops early has looked at different ground all the same. More doubtful squares did not teach more: see
    `benchmarks/results_adapt.md`.

    Args:
        measured: N squares.
        count: largest number of squares.

    Returns:
        Number of each chosen square and the reason in plain words, the most useful first.
    """
    squares = _with_roofs(measured.roof, count)
    if not len(squares):
        return []
    scores = _standard_scores(measured)[squares]
    first = int(np.argmin(np.linalg.norm(scores, axis=1)))
    chosen = [(int(squares[first]), "typical of this ground")]
    apart = np.linalg.norm(scores - scores[first], axis=1)
    nearest = np.full(len(squares), first)
    taken = np.arange(len(squares)) == first
    while len(chosen) < min(count, len(squares)):
        best = int(np.argmax(np.where(taken, -1.0, apart)))
        gap = scores[best] - scores[nearest[best]]
        at = int(np.argmax(np.abs(gap)))
        chosen.append((int(squares[best]), _WORDS[at][int(gap[at] > 0)]))
        taken[best] = True
        distance = np.linalg.norm(scores - scores[best], axis=1)
        nearest[distance < apart] = best
        apart = np.minimum(apart, distance)
    return chosen


def _with_roofs(roof: Numbers, count: int) -> NDArray[np.int64]:
    """Numbers of the squares with enough roof; if they are too few, those with the most."""
    enough = np.flatnonzero(roof >= _LEAST_ROOF)
    return enough if len(enough) >= count else np.sort(np.argsort(-roof, kind="stable")[:count])


def _standard_scores(measured: Measured) -> Numbers:
    """Place in metres and kind of ground, (N, F), each with mean 0 and standard deviation 1."""
    east = (measured.longitude - measured.longitude[:1] + 180) % 360 - 180
    place = [east * np.cos(np.radians(measured.latitude)), measured.latitude]
    numbers = np.column_stack([*place, *measured[2:]])
    spread = numbers.std(axis=0)
    scores = (numbers - numbers.mean(axis=0)) / np.where(spread > _TINY, spread, 1)
    return np.asarray(scores.round(_DIGITS))


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
        chosen = ((self.shapes[number], reason) for number, reason in choose(self.measured, check.count))
        return [Square(shape, reason, ground.measure(shape)[0]) for shape, reason in chosen]


class _Grid:
    """Squares over a raster, in rows from the upper left corner; the last of a row or column may be smaller.

    Args:
        raster: (height, width) in pixels.
        cell: (height, width) of a square in pixels.
    """

    def __init__(self, raster: tuple[int, int], cell: tuple[int, int]) -> None:
        self.raster, self.cell = raster, cell

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


def candidates(
    layers: Layers,
    place: Georeference,
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
        picture: the scene at lower resolution, uint8 (h, w, 3), and its valid pixels, bool (h, w).
        threshold: lowest probability of a roof pixel.
        size: side of a square in metres.
        inside: the area; None: everywhere.
    """
    grid = _Grid.of((layers.shape[1], layers.shape[2]), place, size)
    found: dict[int, list[float]] = {}
    shapes: dict[int, BaseGeometry] = {}
    for number, window in enumerate(grid.windows()):
        data, *measured = _probabilities(layers, window, threshold, whole=grid.cell[0] * grid.cell[1])
        shape = _shape(window, inside) if data >= _LEAST_DATA else None
        if shape is not None:
            shapes[number] = shape
            found[number] = [*measured, *_colours(window, grid.raster, *picture)]
    middles = np.array([shapely.get_coordinates(shapely.centroid(each))[0] for each in shapes.values()]).reshape(-1, 2)
    numbers = np.array([*found.values()], np.float64).reshape(len(found), len(Measured._fields) - 2)
    return Candidates(_array(shapes.values()), Measured(*place.to_lonlat(middles).T, *numbers.T))


def _probabilities(layers: Layers, window: Window, threshold: float, *, whole: int) -> list[float]:
    """Share of the pixels of a `whole` square with data, then `roof` and `uncertainty` of `Measured`."""
    values = layers.read(window)[: layers.categories].max(axis=0)
    counts = np.bincount(values.ravel(), minlength=256)[:NODATA]  # all sums over pixels follow from 255 counts
    pixels, levels = max(1, int(counts.sum())), _LEVELS[:NODATA] * STEP
    sums = counts @ at_least(_LEVELS[:NODATA], threshold), counts @ (4 * levels * (1 - levels))
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
    """`red` to `contrast` of `Measured`, from a smaller picture of the raster."""
    down, across = picture.shape[0] / raster[0], picture.shape[1] / raster[1]
    top, left = int(window.row * down), int(window.column * across)
    bottom = max(top + 1, int((window.row + window.height) * down))
    right = max(left + 1, int((window.column + window.width) * across))
    rows, columns = slice(top, bottom, 1 + (bottom - top) // _SEEN), slice(left, right, 1 + (right - left) // _SEEN)
    pixels = picture[rows, columns][valid[rows, columns]]
    return [*pixels.mean(axis=0), pixels.mean(axis=1).std()] if len(pixels) else [0.0] * 4


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
