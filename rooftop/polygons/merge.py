"""The roofs of several sheets as one layer; roofs that the border of a sheet cuts are joined.

Rule: two roofs of neighbouring sheets are one if, on the ground that both sheets show and `_REACH` pixels around it,
they cover more in common than apart (intersection over union above a half). At sheets side by side that compares the
edges at the border; at sheets that overlap, the same roof seen twice. The gap between joined pieces is closed within
that ground alone.

Only roofs near another sheet are held in memory; all others are read and passed on.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof
from rooftop.raster.georeference import Georeference, is_same_system, parse_system

_REACH = 2.0  # pixels: gap between pieces of one roof, since walls are straightened on each sheet by itself
_ALIKE = 0.5  # intersection over union
Key = tuple[int, int]  # number of a sheet, and of a roof on it


@dataclass(frozen=True)
class Sheet:
    """The roofs of one raster.

    Attributes:
        roofs: in its pixel frame; iterated several times.
        size: (height, width) in pixels.
        place: its georeference.
    """

    roofs: Iterable[Roof]
    size: tuple[int, int]
    place: Georeference


class Merged:
    """Roofs of several sheets in one reference system; iterate as often as needed.

    Args:
        sheets: two or more.

    Attributes:
        ground: of the roofs, whose pixel frame is the map: that of the sheets, or degrees on WGS 84 if they differ.
    """

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        first = sheets[0].place
        self._in_degrees = not all(is_same_system(first.crs, sheet.place.crs) for sheet in sheets[1:])
        system = parse_system("EPSG:4326") if self._in_degrees else first.crs
        self.ground = Ground(Georeference(Affine.identity(), system), 1.0)
        self._sheets = sheets
        self._first: dict[Key, Roof] = {}  # a joined roof, in place of its first piece
        self._others: set[Key] = set()
        self._join()

    @property
    def joined(self) -> int:
        """Number of roofs made of several pieces."""
        return len(self._first)

    @property
    def absorbed(self) -> int:
        """Number of pieces that are part of another roof."""
        return len(self._others)

    def placed(self, shapes: NDArray[np.object_], sheet: Sheet) -> NDArray[np.object_]:
        """Polygons (N,) in the pixel frame of a sheet, on the map."""
        return np.asarray(shapely.transform(shapes, self._to_map(sheet)), dtype=object)

    def __iter__(self) -> Iterator[Roof]:
        for i, sheet in enumerate(self._sheets):
            for number, roof in enumerate(sheet.roofs):
                if (i, number) in self._first:
                    yield self._first[i, number]
                elif (i, number) not in self._others:
                    yield _replaced(roof, self._placed(roof.polygon, sheet))

    @cached_property
    def _frames(self) -> list[BaseGeometry]:
        """Outline of each sheet on the map."""
        boxes = [shapely.box(0, 0, sheet.size[1], sheet.size[0]) for sheet in self._sheets]
        return [self._placed(box, sheet) for box, sheet in zip(boxes, self._sheets, strict=True)]

    def _join(self) -> None:
        reach = [
            _REACH * math.sqrt(frame.area / math.prod(sheet.size))
            for frame, sheet in zip(self._frames, self._sheets, strict=True)
        ]
        around = [
            shapely.buffer(frame, far, join_style="mitre") for frame, far in zip(self._frames, reach, strict=True)
        ]
        shared: dict[Key, BaseGeometry] = {}
        for i, j in zip(*shapely.STRtree(around).query(around, predicate="intersects").tolist(), strict=True):
            if i < j:
                shared[i, j] = around[i] & around[j]
        pieces = self._near(shared)
        if not pieces:
            return
        keys = [*pieces]
        grown = [shapely.buffer(pieces[key].polygon, reach[key[0]], join_style="mitre") for key in keys]
        groups = _Groups()
        for a, b in zip(*shapely.STRtree(grown).query(grown, predicate="intersects").tolist(), strict=True):
            both = shared.get((keys[a][0], keys[b][0]))
            if both is not None and pieces[keys[a]].category == pieces[keys[b]].category:
                one, other = grown[a] & both, grown[b] & both
                if (one & other).area > _ALIKE * (one | other).area:
                    groups.unite(keys[a], keys[b])
        for members in groups.members():
            self._unite(members, pieces, shared, max(reach))

    def _near(self, shared: dict[Key, BaseGeometry]) -> dict[Key, Roof]:
        """Roofs on the map that touch ground of two sheets."""
        near: dict[int, list[BaseGeometry]] = defaultdict(list)
        for (i, j), ground in shared.items():
            near[i].append(ground)
            near[j].append(ground)
        found: dict[Key, Roof] = {}
        for i, grounds in near.items():
            ground = shapely.union_all(grounds)
            shapely.prepare(ground)
            for number, roof in enumerate(self._sheets[i].roofs):
                polygon = self._placed(roof.polygon, self._sheets[i])
                if shapely.intersects(ground, polygon):
                    found[i, number] = _replaced(roof, polygon)
        return found

    def _unite(
        self, members: list[Key], pieces: dict[Key, Roof], shared: dict[Key, BaseGeometry], reach: float
    ) -> None:
        """Join pieces, if that gives one polygon."""
        roofs = [pieces[key] for key in members]
        union = shapely.union_all([roof.polygon for roof in roofs])
        numbers = sorted({i for i, _ in members})
        ground = shapely.union_all([shared[i, j] for i in numbers for j in numbers if (i, j) in shared])
        closed = shapely.buffer(shapely.buffer(union, reach, join_style="mitre"), -reach, join_style="mitre")
        whole = shapely.simplify(union | (closed & ground), reach / 8)
        if not isinstance(whole, Polygon) or not whole.is_valid:
            return
        areas = [roof.area for roof in roofs]
        confidence = float(np.average([roof.confidence for roof in roofs], weights=areas))
        measured = (*self.ground.measure(whole), self.ground.orientation(whole))
        self._first[members[0]] = Roof(whole, roofs[0].category, confidence, *measured)
        self._others.update(members[1:])

    def _placed(self, polygon: Polygon, sheet: Sheet) -> Polygon:
        return shapely.transform(polygon, self._to_map(sheet))

    def _to_map(self, sheet: Sheet) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return sheet.place.to_lonlat if self._in_degrees else sheet.place.to_map


class _Groups:
    """Union-find of pieces."""

    def __init__(self) -> None:
        self._parent: dict[Key, Key] = {}

    def unite(self, one: Key, other: Key) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        self._parent[low], self._parent[high] = low, low

    def members(self) -> list[list[Key]]:
        """Groups of two or more, in order."""
        found: dict[Key, list[Key]] = defaultdict(list)
        for key in sorted(self._parent):
            found[self._root(key)].append(key)
        return [*found.values()]

    def _root(self, key: Key) -> Key:
        while (parent := self._parent.get(key, key)) != key:
            key = parent
        return key


def _replaced(roof: Roof, polygon: Polygon) -> Roof:
    return Roof(polygon, roof.category, roof.confidence, roof.area, roof.perimeter, roof.orientation)
