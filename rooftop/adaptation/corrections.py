"""What a mapper corrected: roofs, and the ground on which they are right.

Of a GeoPackage that `predict.py` wrote, the layers `roofs` and `check_first`; or footprints, and polygons of the ground
that they are right on. It comes back as QGIS leaves it: see `rooftop.vector` for bad geometry and open files.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.adaptation.changes import Changes, compare
from rooftop.errors import ConfigError, DataError, SourceError
from rooftop.raster.georeference import Georeference
from rooftop.raster.region import polygons_of
from rooftop.raster.scene import Scene, open_bands
from rooftop.raster.windows import Window
from rooftop.vector.footprints import read_footprints
from rooftop.vector.layers import CHECK_FIRST, Box, Layer, layer_names, open_layer
from rooftop.vector.snapshot import settled

log = logging.getLogger(__name__)
ROOFS = "roofs"
_PREDICTION = "roofs.geojson"  # beside the roofs.gpkg of predict.py
_CHECKED = "lower(CAST(checked AS TEXT)) IN ('1', '1.0', 'true', 't', 'yes', 'y')"  # however a program stores it
_EVERYWHERE: Box = (-1e9, -1e9, 1e9, 1e9)
_NARROW = 2.0  # metres: nothing is learned of a narrower strip of ground
_TOUCHED = 1.0  # square pixels of a roof inside a square, from which it belongs to it
_MOST, _SOME = 0.5, 0.01  # shares of a square with data, of the source that it is given to: first round, second round
_LOOK = 256  # pixels of the longer side at which data is looked for
_HOW = "in QGIS, set its field `checked` to true for each square whose roofs are right, and save"


@dataclass(frozen=True)
class Square:
    """Checked ground of one source.

    Attributes:
        outline: in the pixel frame of the source, inside it.
        roofs: all roofs that reach into it, as whole as they are drawn, in the same frame.
    """

    outline: Polygon
    roofs: Sequence[Polygon]


@dataclass(frozen=True)
class Site:
    """A source and the checked ground on it.

    Attributes:
        path: of the source.
        size: (height, width) in pixels.
        georeference: of the source.
        squares: without overlap; none if another source covers the checked ground.
    """

    path: Path
    size: tuple[int, int]
    georeference: Georeference
    squares: Sequence[Square]

    @property
    def roofs(self) -> list[Polygon]:
        """Roofs in all squares, each once."""
        return list({id(roof): roof for square in self.squares for roof in square.roofs}.values())


@dataclass(frozen=True)
class Corrections:
    """All corrections.

    Attributes:
        sites: one for each source, in their order.
        changes: against the predictions beside the corrected files; None: there is none.
        repaired: number of squares and roofs whose outline crossed itself.
        left_out: number of squares and roofs by reason.
    """

    sites: Sequence[Site]
    changes: Changes | None = None
    repaired: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def squares(self) -> int:
        """Number of checked squares."""
        return sum(len(site.squares) for site in self.sites)

    @property
    def roofs(self) -> int:
        """Number of roofs in them."""
        return sum(len(site.roofs) for site in self.sites)


def read_corrections(
    sources: Sequence[Path],
    *,
    corrected: Sequence[Path] = (),
    footprints: Path | None = None,
    area: Path | None = None,
    layer: str | None = None,
    area_layer: str | None = None,
    crs: str | None = None,
) -> Corrections:
    """Read the corrections of sources.

    A square belongs to the first source with data on most of it. Where squares overlap, the ground belongs to the
    earlier one. Roofs come from the file of their square.

    Args:
        sources: georeferenced rasters.
        corrected: GeoPackages with layers `roofs` and `check_first`, of which the squares with a true `checked` count.
        footprints: vector file of roofs, instead of `corrected`.
        area: vector file of the ground on which all footprints are right.
        layer: of the footprints; None: the only layer of areas.
        area_layer: of the area; None: the only layer of areas.
        crs: reference system of sources without one, e.g. "EPSG:32645".

    Raises:
        ConfigError: neither or both kinds of corrections are given.
        DataError: the files cannot be read, nothing is checked, or none of it lies on a source.
        SourceError: a source cannot be read, or has no place on the map.
    """
    _require_one_kind(corrected, footprints, area)
    with ExitStack() as stack:
        if footprints and area:
            read, judged = (stack.enter_context(settled(path)) for path in (footprints, area))
            which = "layers; say which holds the checked ground: area_layer="
            edits = [_Edits(area, open_layer(judged, area_layer, "", which=which), open_layer(read, layer), None)]
        else:
            edits = [_open_corrected(path, stack.enter_context(settled(path))) for path in corrected]
        reader = _Reader(edits, [_site(path, crs) for path in sources], crs)
        return reader.read()


def _require_one_kind(corrected: Sequence[Path], footprints: Path | None, area: Path | None) -> None:
    if corrected and (footprints or area):
        raise ConfigError(
            f"corrected={corrected[0]}: brings its own roofs and checked squares; leave footprints= and area= out."
        )
    if not corrected and not (footprints and area):
        if footprints or area:
            given = f"footprints={footprints}" if footprints else f"area={area}"
            missing = "area=FILE" if footprints else "footprints=FILE"
            raise ConfigError(f"{given}: {missing} is missing; the two go together.")
        raise ConfigError(
            "corrected= is not set; give the roofs.gpkg that predict.py wrote and you corrected, or "
            "footprints=FILE with area=FILE, the ground on which they are right."
        )


@dataclass(frozen=True)
class _Edits:
    """One file of corrections. path: for messages. prediction: the roofs before the edits; None: unknown."""

    path: Path
    squares: Layer
    roofs: Layer
    prediction: Layer | None

    @property
    def is_corrected(self) -> bool:
        return bool(self.squares.where)


def _open_corrected(path: Path, read: Path) -> _Edits:
    names = layer_names(read)
    if CHECK_FIRST not in names:
        raise DataError(
            f"{path}: has no layer {CHECK_FIRST}, the squares that were checked; correct the roofs.gpkg of predict.py, "
            "or give polygons of the checked ground: footprints=FILE area=FILE."
        )
    if ROOFS not in names:
        raise DataError(
            f"{path}: has no layer {ROOFS}; save the corrected roofs under that name, or give them apart: "
            "footprints=FILE area=FILE."
        )
    try:
        squares = open_layer(read, CHECK_FIRST, _CHECKED)
    except ConfigError as error:
        raise DataError(
            f"{path}: layer {CHECK_FIRST} has no field checked; add a boolean field, and {_HOW}."
        ) from error
    return _Edits(path, squares, open_layer(read, ROOFS, ""), _prediction(path.with_name(_PREDICTION)))


def _prediction(path: Path) -> Layer | None:
    try:
        return open_layer(path, where="") if path.is_file() else None
    except DataError as error:
        log.warning("changes are not counted: %s", error)
        return None


def _site(path: Path, crs: str | None) -> Site:
    with open_bands(str(path), crs=crs) as scene:
        place = scene.georeference
        if place is None:
            reason = scene.placement.warning or "has no reference system and corners"
            raise SourceError(
                f"{path}: corrections cannot be laid on it: it {reason}; name its system, e.g. crs=EPSG:32645."
            )
        if not place.is_on_earth(scene.height, scene.width):
            raise SourceError(
                f"{path}: its place on the map is not on the earth; name the right system, e.g. crs=EPSG:CODE."
            )
        return Site(path, (scene.height, scene.width), place, [])


@dataclass(frozen=True)
class _Piece:
    """Checked ground on a source. edits: index of its file. name: of its feature."""

    edits: int
    name: Any
    outline: Polygon


@dataclass
class _Reader:
    """The work of `read_corrections`; `sites` are without squares."""

    edits: Sequence[_Edits]
    sites: Sequence[Site]
    crs: str | None
    repaired: set[tuple[int, str, Any]] = field(default_factory=set)
    faults: dict[str, set[tuple[int, str, Any]]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self) -> Corrections:
        checked = {(i, name) for i, edits in enumerate(self.edits) for name in _names(edits.squares)}
        if not checked:
            self._refuse_unchecked()
        wanted = [self._pieces(site) for site in self.sites]
        given = self._share_out(wanted)
        reached = {(piece.edits, piece.name) for pieces in wanted for piece in pieces}
        used = {(piece.edits, piece.name) for pieces in given for piece in pieces}
        if not used:
            self._refuse_apart(is_apart=not reached)
        self._count("checked square outside the sources", len(checked - reached))
        self._count("checked square without data, or under another", len(reached - used))
        found = [self._filled(site, pieces) for site, pieces in zip(self.sites, given, strict=True)]
        changes = [some for _, more in found for some in more]
        left_out = self.left_out + Counter({reason: len(names) for reason, names in self.faults.items()})
        total = sum(changes, Changes()) if changes else None
        return Corrections([site for site, _ in found], total, len(self.repaired), dict(left_out))

    def _refuse_unchecked(self) -> None:
        path = self.edits[0].path
        more = f" and {len(self.edits) - 1} more" if len(self.edits) > 1 else ""
        if self.edits[0].is_corrected:
            raise DataError(f"{path}{more}: no square of layer {CHECK_FIRST} is checked; {_HOW}.")
        raise DataError(f"{path}: has no polygon of checked ground; draw at least one around ground that you checked.")

    def _refuse_apart(self, *, is_apart: bool) -> None:
        path, source = self.edits[0].path, self.sites[0].path
        if is_apart:
            raise DataError(
                f"{path}: no checked square lies on {source}; give the source that it was made of, or correct the "
                "reference system of one of them."
            )
        raise DataError(f"{path}: {source} has no data where squares are checked; give the source that it was made of.")

    def _count(self, reason: str, number: int) -> None:
        if number:
            self.left_out[reason] += number

    # --- squares ---

    def _pieces(self, site: Site) -> list[_Piece]:
        """The checked squares on a source, not cut."""
        found: list[_Piece] = []
        for i, edits in enumerate(self.edits):
            for page in read_footprints(edits.squares, site.georeference, site.size):
                found += [_Piece(i, *each) for each in zip(page.names, page.polygons, strict=True)]
                self.repaired |= {(i, "square", name) for name in page.repaired}
                for reason, names in page.left_out.items():
                    if reason != f"feature {edits.squares.reason}":  # those that are not checked
                        self.faults.setdefault(f"square: {reason}", set()).update((i, "square", name) for name in names)
        return found

    def _share_out(self, wanted: Sequence[Sequence[_Piece]]) -> list[list[_Piece]]:
        """Give the squares to the sources, without overlap; twice, since few data are better than none."""
        given: list[list[_Piece]] = [[] for _ in self.sites]
        for least in (_MOST, _SOME):
            for i, site in enumerate(self.sites):
                if not wanted[i]:
                    continue
                others = self._seen_from(site, [(j, given[j]) for j in range(len(given)) if j != i])
                with open_bands(str(site.path), crs=self.crs) as scene:
                    for piece in wanted[i]:
                        taken = [*others, *(each.outline for each in given[i])]
                        parts = [
                            part for part in free_parts(piece.outline, site, taken) if _has_data(scene, part, least)
                        ]
                        given[i] += [_Piece(piece.edits, piece.name, part) for part in parts]
        return given

    def _seen_from(self, site: Site, given: Iterable[tuple[int, Sequence[_Piece]]]) -> list[Polygon]:
        """Squares of other sources in the pixel frame of this one."""
        found: list[Polygon] = []
        for j, pieces in given:
            degrees = self.sites[j].georeference.to_lonlat
            for piece in pieces:
                placed = shapely.transform(piece.outline, lambda at, d=degrees: site.georeference.from_lonlat(d(at)))
                if np.isfinite(shapely.get_coordinates(placed)).all():
                    found.append(shapely.make_valid(placed))
        return found

    # --- roofs ---

    def _filled(self, site: Site, pieces: Sequence[_Piece]) -> tuple[Site, list[Changes]]:
        """The source with its squares and their roofs, and what changed."""
        squares: list[Square] = []
        changes: list[Changes] = []
        for i, edits in enumerate(self.edits):
            outlines = [piece.outline for piece in pieces if piece.edits == i]
            if not outlines:
                continue
            touching = self._touching(i, edits.roofs, site, outlines)
            squares += [Square(outline, roofs) for outline, roofs in zip(outlines, touching, strict=True)]
            if edits.prediction is not None:
                before, after = _distinct(self._predicted(edits.prediction, site, outlines)), _distinct(touching)
                changes.append(compare(before, after, pixel=pixel_of(site, outlines[0])))
        return Site(site.path, site.size, site.georeference, squares), changes

    def _touching(self, i: int, layer: Layer, site: Site, outlines: Sequence[Polygon]) -> list[list[Polygon]]:
        """Roofs in each square; of equal ones the first."""
        found: list[list[Polygon]] = [[] for _ in outlines]
        seen: set[bytes] = set()
        for page in read_footprints(layer, site.georeference, site.size):
            inside = _inside(page.polygons, outlines)
            for k, pairs in groupby(inside, key=itemgetter(0)):
                text = shapely.to_wkb(shapely.normalize(page.polygons[k]))
                if text in seen:
                    self._count("roof drawn twice", 1)
                    continue
                seen.add(text)
                if page.names[k] in page.repaired:
                    self.repaired.add((i, "roof", page.names[k]))
                for _, n in pairs:
                    found[n].append(page.polygons[k])
            for reason, names in page.left_out.items():
                self.faults.setdefault(f"roof: {reason}", set()).update((i, "roof", name) for name in names)
        return found

    @staticmethod
    def _predicted(layer: Layer, site: Site, outlines: Sequence[Polygon]) -> list[list[Polygon]]:
        return [
            [page.polygons[k] for k in sorted({k for k, _ in _inside(page.polygons, outlines)})]
            for page in read_footprints(layer, site.georeference, site.size)
        ]


def _distinct(groups: Iterable[Sequence[Polygon]]) -> list[Polygon]:
    return list({id(roof): roof for roofs in groups for roof in roofs}.values())


def _inside(polygons: Sequence[Polygon], outlines: Sequence[Polygon]) -> list[tuple[int, int]]:
    """Index of polygon and of square, for each polygon with some ground in a square; in order."""
    roofs, squares = np.array(polygons, object), np.array(outlines, object)
    if not len(roofs):
        return []
    n, k = shapely.STRtree(roofs).query(squares, predicate="intersects")
    shared = shapely.area(shapely.intersection(roofs[k], squares[n]))
    is_in = shared >= np.minimum(_TOUCHED, shapely.area(roofs[k]) / 2)
    return sorted(zip(k[is_in].tolist(), n[is_in].tolist(), strict=True))


def _names(layer: Layer) -> set[Any]:
    """Names of all features of a layer with an area."""
    return {page.names[i] for page in layer.pages(_EVERYWHERE) for i in page.areas.owners.tolist()}


# --- ground ---


def pixel_of(site: Site, outline: Polygon) -> tuple[float, float]:
    """Width and height in metres of a pixel in the middle of an outline."""
    wide, high = np.hypot(*site.georeference.metres(np.array(shapely.get_coordinates(outline.centroid)[0]))).tolist()
    return wide, high


def free_parts(outline: Polygon, site: Site, taken: Sequence[Polygon]) -> Iterator[Polygon]:
    """Yield the parts of an outline on a source that nothing taken covers; strips too narrow to learn from are not."""
    height, width = site.size
    others = np.array(taken, object)
    left = shapely.intersection(outline, shapely.box(0, 0, width, height))
    if len(others):
        left = shapely.difference(left, shapely.union_all(others[shapely.intersects(others, left)]))
    yield from wide_parts(left, site)


def wide_parts(shape: Any, site: Site) -> Iterator[Polygon]:
    """Yield the polygons of a shape that are wide enough to learn from."""
    for part in polygons_of(shape):
        if not shapely.buffer(part, -_NARROW / 2 / min(pixel_of(site, part))).is_empty:
            yield part


def window_around(outline: Polygon, size: tuple[int, int], margin: tuple[float, float] = (0, 0)) -> Window:
    """The window of an outline and a margin, columns and rows in pixels, inside a raster of (height, width)."""
    height, width = size
    (x, y), (left, top, right, bottom) = margin, outline.bounds
    first = max(0, int(np.floor(left - x))), max(0, int(np.floor(top - y)))
    end = min(width, int(np.ceil(right + x))), min(height, int(np.ceil(bottom + y)))
    return Window(*first, end[0] - first[0], end[1] - first[1])


def _has_data(scene: Scene, outline: Polygon, least: float) -> bool:
    """Whether at least this share of the ground in the window of an outline has data."""
    window = window_around(outline, (scene.height, scene.width))
    values, known = scene.part(window, lambda part: np.ones((part.height, part.width), bool)).thinned(_LOOK)
    valid: NDArray[np.bool_] = known & np.isfinite(values).all(axis=0)
    return bool(valid.mean() >= least)
