"""Region graph of a watershed: basins, the seams between them, and which basins are one roof.

`by_ratio` compares the height of a seam with the lower summit: the watershed by dynamics (M. Grimaud, A new measure of
contrast: the dynamics, 1992) with a ratio instead of a difference.

`by_likeness` merges basins step by step, the surest pair first, and adds up what is known of them: greedy agglomeration
of a region graph with a learned decision (Nunez-Iglesias et al. 2013, Machine learning of hierarchical clustering to
segment 2D and 3D images).

Sums are integers over pixels. So the graphs of tiles add up to the graph of the whole mask, whatever the tiles.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from rooftop.raster.probability import STEP

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Values = NDArray[np.uint8]
LEARNED_AT = 0.3  # metres per pixel as the network of the weights sees; assumed of pictures of unknown size
_TINY = 1e-6  # of a height: a summit of 0 has no share
_LEAST_CORE = 0.2  # stored; the same


@dataclass(frozen=True)
class Regions:
    """Basins of a mask and the seams between neighbours.

    Attributes:
        names: int64 (N,), ascending: the summit of each basin, as a flat index into the mask.
        sums: int64 (N, 3): pixels of each basin, sum of their stored probabilities of roof and of core.
        summits: float64 (N,), height of each summit.
        depths: float64 (N,), largest depth of each basin in pixels.
        pairs: int64 (2, S): names of the two basins of each seam, the lower first.
        seams: int64 (S, 2): pairs of neighbouring pixels, one on each side; sum of the lower core of each pair.
        passes: float64 (S,), the highest of these pairs; of a pair the lower pixel's height.
    """

    names: Ints
    sums: Ints
    summits: Floats
    depths: Floats
    pairs: Ints
    seams: Ints
    passes: Floats


Weight = Annotated[float, Meta(ge=-1e6, le=1e6)]
Join = Callable[[Regions], Ints]
"""Returns for each region, int64 (N,), the index of the region that stands for its roof."""


def measure(
    names: Ints, height: Floats, depth: Floats, values: Values, summits: Floats, size: tuple[int, int]
) -> Regions:
    """Measure the basins of one tile of a mask.

    Args:
        names: int64 (h, w) of the tile, with one more row and column if the mask has them; -1: no roof.
        height: float64 (h, w) of each pixel.
        depth: float64 (h, w) of each pixel.
        values: uint8 (2, h, w), stored probabilities of roof and of core.
        summits: float64 (h, w), height of each pixel's summit.
        size: of the tile: pixels of a further row or column belong to seams only.
    """
    rows, columns = size
    own = names[:rows, :columns]
    inside = own >= 0
    sums = np.ones((np.count_nonzero(inside), 3), np.int64)
    sums[:, 1:] = values[:, :rows, :columns][:, inside].T
    pairs: list[Ints] = []
    cores: list[Values] = []
    passes: list[Floats] = []
    for down, right in ((1, 0), (0, 1)):
        beyond = names[down : down + rows, right : right + columns]
        h, w = beyond.shape
        here = names[:h, :w]
        apart = (here != beyond) & (np.minimum(here, beyond) >= 0)
        pairs.append(np.sort(np.stack([here[apart], beyond[apart]]), axis=0))
        there = slice(down, down + h), slice(right, right + w)
        cores.append(np.minimum(values[1, :h, :w], values[1][there])[apart])
        passes.append(np.minimum(height[:h, :w], height[there])[apart])
    core = np.concatenate(cores).astype(np.int64)
    seams = np.stack([np.ones_like(core), core], axis=1)
    peaks, depths = (layer[:rows, :columns][inside] for layer in (summits, depth))
    return _grouped(own[inside], sums, peaks, depths, np.concatenate(pairs, axis=1), seams, np.concatenate(passes))


def add_up(parts: Sequence[Regions]) -> Regions:
    """Add up the graphs of all tiles of a mask."""
    return _grouped(
        np.concatenate([part.names for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.summits for part in parts]),
        np.concatenate([part.depths for part in parts]),
        np.concatenate([part.pairs for part in parts], axis=1),
        np.concatenate([part.seams for part in parts]),
        np.concatenate([part.passes for part in parts]),
    )


def _grouped(
    names: Ints, sums: Ints, summits: Floats, depths: Floats, pairs: Ints, seams: Ints, passes: Floats
) -> Regions:
    """Merge rows of the same basin, and rows of the same seam."""
    found, basin = np.unique(names, return_inverse=True)
    ends, end = np.unique(pairs, return_inverse=True)
    one, other = end.reshape(pairs.shape)
    keys, seam = np.unique(one * len(ends) + other, return_inverse=True)
    return Regions(
        found,
        _added(sums, basin, len(found)),
        _largest(summits, basin, len(found)),
        _largest(depths, basin, len(found)),
        ends[np.stack(np.divmod(keys, max(len(ends), 1)))],
        _added(seams, seam, len(keys)),
        _largest(passes, seam, len(keys)),
    )


def _added(rows: Ints, group: Ints, count: int) -> Ints:
    total = np.zeros((count, rows.shape[1]), np.int64)
    np.add.at(total, group, rows)
    return total


def _largest(rows: Floats, group: Ints, count: int) -> Floats:
    largest = np.full(count, -np.inf)
    np.maximum.at(largest, group, rows)
    return largest


def by_ratio(regions: Regions, ratio: float) -> Ints:
    """Join two basins if their pass is higher than this share of the lower summit, the highest pass first.

    Args:
        regions: of a whole mask.
        ratio: in (0, 1].
    """
    summits, parent = regions.summits, np.arange(len(regions.names))

    def root(name: int) -> int:
        while parent[name] != name:
            name = int(parent[name])
        return name

    pairs, heights = np.searchsorted(regions.names, regions.pairs), regions.passes
    order = np.lexsort((pairs[1], pairs[0], -heights))
    for one, other, height in zip(*pairs[:, order].tolist(), heights[order].tolist(), strict=True):
        ends = root(one), root(other)
        if ends[0] == ends[1]:  # as nearly all are after the first few
            continue
        low, high = sorted(ends, key=lambda name: (summits[name], -name))
        if height > ratio * summits[low]:
            parent[low] = high
    return climbed(parent)


def climbed(path: Ints) -> Ints:
    """Follow each index to its end, twice as far at each step (pointer jumping)."""
    while not np.array_equal(further := path[path], path):
        path = further
    return path


class _Part(NamedTuple):
    """Basins that are one roof so far; the first three add up."""

    pixels: int
    roof: int
    core: int
    summit: float
    depth: float

    def with_part(self, other: "_Part") -> "_Part":
        sums = (self.pixels + other.pixels, self.roof + other.roof, self.core + other.core)
        return _Part(*sums, max(self.summit, other.summit), max(self.depth, other.depth))


class _Seam(NamedTuple):
    """Between two parts; the first two add up."""

    length: int
    core: int
    height: float

    def with_seam(self, other: "_Seam") -> "_Seam":
        return _Seam(self.length + other.length, self.core + other.core, max(self.height, other.height))


@dataclass(frozen=True)
class Likeness:
    """How likely two neighbours are one roof: the larger of two weighted sums; above 0 they are merged.

    The first sum is about the seam. The second is about the smaller part: is it a roof by itself? Both keep the order
    of the attributes; the last weight of each is a constant. Areas are logarithms of square metres, depths are metres.

    Attributes:
        seam: of height of the pass over the lower summit, height of the pass, mean core along the seam over that of the
            part with less, length of the seam over the root of the smaller part's pixels, area of the smaller part, of
            the larger part, of the component, lower depth.
        part: of area, mean probability of roof and mean core of the smaller part, lower summit, area of the larger
            part, lower depth.
    """

    seam: Annotated[tuple[Weight, ...], Meta(min_length=9, max_length=9)]
    part: Annotated[tuple[Weight, ...], Meta(min_length=7, max_length=7)]

    def of(self, one: _Part, other: _Part, seam: _Seam, pixel: float, component: float) -> float:
        """Weigh two neighbours.

        Args:
            one: a part.
            other: its neighbour.
            seam: between them.
            pixel: square metres of a pixel.
            component: logarithm of the square metres of the whole mask.
        """
        small, large = sorted((one, other))
        low = min(one.summit, other.summit)
        core = min(one.core / one.pixels, other.core / other.pixels)
        depth = min(one.depth, other.depth) * math.sqrt(pixel)
        area, others = math.log(small.pixels * pixel), math.log(large.pixels * pixel)
        about_seam = (
            seam.height / max(low, _TINY),
            seam.height,
            seam.core / seam.length / max(core, _LEAST_CORE),
            seam.length / math.sqrt(small.pixels),
            area,
            others,
            component,
            depth,
            1.0,
        )
        share = STEP / small.pixels
        about_part = area, small.roof * share, small.core * share, low, others, depth, 1.0
        return max(_dot(self.seam, about_seam), _dot(self.part, about_part))


def _dot(weights: tuple[float, ...], values: tuple[float, ...]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def by_likeness(regions: Regions, likeness: Likeness, pixel: float) -> Ints:
    """Merge the two neighbours most alike, and again, while any are alike enough.

    Args:
        regions: of a whole mask.
        likeness: the decision.
        pixel: square metres of a pixel.
    """
    graph = _Graph(regions, likeness, pixel)
    while graph.merge_best():
        pass
    return climbed(np.array(graph.parent, np.int64))


class _Graph:
    """Parts and seams while they are merged."""

    def __init__(self, regions: Regions, likeness: Likeness, pixel: float) -> None:
        self.likeness, self.pixel = likeness, pixel
        self.parent = list(range(len(regions.names)))
        parts = zip(regions.sums.tolist(), regions.summits.tolist(), regions.depths.tolist(), strict=True)
        self.parts = {
            i: _Part(pixels, roof, core, summit, depth) for i, ((pixels, roof, core), summit, depth) in enumerate(parts)
        }
        self.seams: dict[int, dict[int, _Seam]] = {i: {} for i in self.parts}
        self.component = math.log(max(int(regions.sums[:, 0].sum()), 1) * pixel)
        self.changes = [0] * len(self.parent)
        pairs = np.searchsorted(regions.names, regions.pairs).T.tolist()
        seams = zip(pairs, regions.seams.tolist(), regions.passes.tolist(), strict=True)
        for (one, other), (length, core), height in seams:
            self.seams[one][other] = self.seams[other][one] = _Seam(length, core, height)
        self.queue: list[tuple[float, int, int, int, int]] = []
        for one, other in pairs:
            self._weigh(one, other)

    def _weigh(self, one: int, other: int) -> None:
        seam = self.seams[one][other]
        alike = self.likeness.of(self.parts[one], self.parts[other], seam, self.pixel, self.component)
        if alike > 0:
            heapq.heappush(self.queue, (-alike, one, other, self.changes[one], self.changes[other]))

    def merge_best(self) -> bool:
        """Merge one pair; False if no two are alike."""
        while self.queue:
            _, one, other, *seen = heapq.heappop(self.queue)
            if one in self.parts and other in self.parts and [self.changes[one], self.changes[other]] == seen:
                self._merge(one, other)
                return True
        return False

    def _merge(self, one: int, other: int) -> None:
        kept, gone = self.parts[one], self.parts.pop(other)
        self.parts[one] = kept.with_part(gone)
        self.parent[other] = one
        self.changes[one] += 1
        for third, seam in self.seams.pop(other).items():
            del self.seams[third][other]
            if third != one:
                if known := self.seams[one].get(third):
                    seam = known.with_seam(seam)
                self.seams[one][third] = self.seams[third][one] = seam
        for third in self.seams[one]:
            self._weigh(*sorted((one, third)))
