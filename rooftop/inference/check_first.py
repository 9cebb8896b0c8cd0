"""Squares of ground that a person should look at first: the layer `check_first`.

A scene is cut into squares along its rows and columns. `candidates` measures the roofs in each of them at constant
memory, `choose` takes the most useful ones. They are the same for any number of processes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import distance
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.polygons.check_first import Square
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers
from rooftop.raster.georeference import Georeference
from rooftop.raster.probability import NODATA, at_least
from rooftop.raster.region import Region
from rooftop.raster.windows import Window

Numbers = NDArray[np.float64]
Shapes = NDArray[np.object_]
_LEAST_DATA = 0.6  # share of a square's pixels with data
_COMMON = 0.001  # share of a square that another one may cover: roundings of two sheets side by side
_DIGITS = 9  # of a score: equal ones stay equal on all machines
_TINY = 1e-9  # spread of numbers that are all alike, but for rounding


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
    """

    longitude: Numbers
    latitude: Numbers
    roof: Numbers


# --- choose ---

_LEAST_ROOF = 0.05  # share of roof that a square needs: others teach little (benchmarks/results_adapt.md)
_MOST = 2000  # squares to choose among, of more every second, third ...: their distances are held, 4 bytes a pair
_THIRDS = 1 / 3, 2 / 3  # quantiles of the roof share between few, some and many roofs


def choose(measured: Measured, count: int) -> list[tuple[int, str]]:
    """Choose squares to look at first, and say why.

    Squares with roofs that stand for all others: each next one brings the others nearest to a chosen one, by place and
    share of roof (greedy k-medians, the first phase of PAM: Kaufman and Rousseeuw 1990). So whoever stops early has
    looked all over the ground. Doubtful squares first, and squares unlike all others, teach exceptions:
    `benchmarks/results_adapt.md`.

    Args:
        measured: N squares.
        count: largest number of squares.

    Returns:
        Number of each chosen square and the reason in plain words, the most useful first.
    """
    squares = _with_roofs(measured.roof, count)
    squares = squares[:: 1 + len(squares) // _MOST]
    if not len(squares):
        return []
    scores = _standard_scores(measured)[squares]
    apart = distance.cdist(scores, scores).astype(np.float32)
    nearest = np.full(len(squares), np.inf, np.float32)
    chosen: list[int] = []
    while len(chosen) < min(count, len(squares)):
        cost = np.minimum(apart, nearest).sum(axis=1, dtype=np.float64)
        cost[chosen] = np.inf
        chosen.append(int(np.argmin(cost)))
        nearest = np.minimum(nearest, apart[chosen[-1]])
    stands_for = np.bincount(np.argmin(apart[chosen], axis=0), minlength=len(chosen))
    few, many = np.quantile(measured.roof[squares], _THIRDS)
    reasons = [
        f"{_words(measured.roof[squares[i]], few, many)}; stands for {n} square{'s' * (n != 1)}"
        for i, n in zip(chosen, stands_for.tolist(), strict=True)
    ]
    return [(int(squares[i]), reason) for i, reason in zip(chosen, reasons, strict=True)]


def _words(roof: float, few: float, many: float) -> str:
    return "many roofs" if roof > many else "few roofs" if roof < few else "some roofs"


def _with_roofs(roof: Numbers, count: int) -> NDArray[np.int64]:
    """Numbers of the squares with enough roof; if they are too few, those with the most."""
    enough = np.flatnonzero(roof >= _LEAST_ROOF)
    return enough if len(enough) >= count else np.sort(np.argsort(-roof, kind="stable")[:count])


def _standard_scores(measured: Measured) -> Numbers:
    """Place in metres and share of roof, (N, 3), each with mean 0 and standard deviation 1."""
    east = (measured.longitude - measured.longitude[:1] + 180) % 360 - 180
    numbers = np.column_stack([east * np.cos(np.radians(measured.latitude)), measured.latitude, measured.roof])
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
    *,
    threshold: float,
    size: float,
    inside: Region | None = None,
) -> Candidates:
    """Cut a scene into squares and measure those with data, one square in memory at a time.

    Args:
        layers: probabilities by window, without data outside the area.
        place: georeference of their pixel frame.
        threshold: lowest probability of a roof pixel.
        size: side of a square in metres.
        inside: the area; None: everywhere.
    """
    grid = _Grid.of((layers.shape[1], layers.shape[2]), place, size)
    roof: list[float] = []
    shapes: list[BaseGeometry] = []
    for window in grid.windows():
        data, share = _shares(layers, window, threshold, whole=grid.cell[0] * grid.cell[1])
        shape = _shape(window, inside) if data >= _LEAST_DATA else None
        if shape is not None:
            shapes.append(shape)
            roof.append(share)
    middles = np.array([shapely.get_coordinates(shapely.centroid(each))[0] for each in shapes]).reshape(-1, 2)
    longitude, latitude = place.to_lonlat(middles).T
    return Candidates(_array(shapes), Measured(longitude, latitude, np.array(roof, np.float64)))


def _shares(layers: Layers, window: Window, threshold: float, *, whole: int) -> tuple[float, float]:
    """Share of the pixels of a `whole` square with data, and of these with roof."""
    values = layers.read(window)[: layers.categories].max(axis=0)
    known, roof = int(np.count_nonzero(values != NODATA)), int(np.count_nonzero(at_least(values, threshold)))
    return known / whole, roof / max(1, known)


def _shape(window: Window, inside: Region | None) -> BaseGeometry | None:
    """A square in the pixel frame, its largest part inside the area; None: no part."""
    x, y = window.column, window.row
    square = shapely.box(x, y, x + window.width, y + window.height)
    if inside is None:
        return square
    parts = shapely.get_parts(shapely.intersection(square, inside.shape))
    polygons = [part for part in parts if isinstance(part, Polygon)]
    return max(polygons, key=shapely.area, default=None)


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
