"""Building footprints from vector files of any GDAL format and any reference system, at constant memory.

Features are read some thousand at a time. GeoJSON feature collections are parsed here as a stream: GDAL would read
such a file from the start for each page.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely import Polygon

from rooftop.errors import DataError
from rooftop.raster.georeference import Georeference

_CHUNK = 1 << 20  # characters read at a time
_WORLD = "OGC:CRS84"  # longitude and latitude on WGS 84, which RFC 7946 prescribes
_BLANKS = re.compile(r"\s*")
_DECODE = json.JSONDecoder().raw_decode


def is_collection(path: Path) -> bool:
    """Report whether a file is a GeoJSON feature collection, with its type before its features."""
    if path.suffix.lower() not in (".geojson", ".json"):
        return False
    try:
        for key, value, _ in _members(path):
            if key in ("type", "feature"):
                return key == "type" and bool(value == "FeatureCollection")
    except DataError:
        pass  # whoever reads other files says what is wrong with it
    return False


def collection_crs(path: Path) -> str:
    """Return the name of the reference system: the old "crs" member at any position, else longitude and latitude."""
    says = _mentions(path, b'"crs"')
    for key, value, _ in _members(path):
        if key == "crs" and value:
            return str(value["properties"]["name"])
        if key == "feature" and not says:
            break
    return _WORLD


def read_collection(path: Path, page: int) -> Iterator[NDArray[np.object_]]:
    """Features as texts, `page` at a time; None for one without geometry.

    Raises:
        DataError: the file ends in the middle, or is no JSON.
    """
    texts: list[str | None] = []
    for key, value, text in _members(path):
        if key == "feature":
            texts.append(text if isinstance(value, dict) and value.get("geometry") else None)
        if len(texts) == page:
            yield np.array(texts, object)
            texts = []
    yield np.array(texts, object)


def _members(path: Path) -> Iterator[tuple[str, Any, str]]:
    """Members of the file's one object: name, value, text; those of "features" one by one, as "feature"."""
    with path.open(encoding="utf-8-sig") as file:
        text = _Text(path, file.read)
        text.expect("{")
        while text.peek() != "}":
            key, _ = text.value()
            text.expect(":")
            if key == "features" and text.peek() == "[":
                text.expect("[")
                while text.peek() != "]":
                    yield "feature", *text.value()
                    text.end("]")
                text.expect("]")
            else:
                yield str(key), *text.value()
            text.end("}")


class _Text:
    """A window of a text, read from the front."""

    def __init__(self, path: Path, read: Any) -> None:
        self._path, self._read = path, read
        self._text, self._at = "", 0

    def peek(self) -> str:
        """Return the next character, blanks skipped."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            self._more()

    def expect(self, character: str) -> None:
        """Skip a required character."""
        if self.peek() != character:
            raise DataError(f"{self._path}: not valid GeoJSON ({character} is missing); export it again.")
        self._at += 1

    def end(self, bracket: str) -> None:
        """Skip a required comma, or report the end of a list or object."""
        if self.peek() != bracket:
            self.expect(",")

    def value(self) -> tuple[Any, str]:
        """The next value, and its text."""
        self.peek()
        while True:
            try:
                value, end = _DECODE(self._text, self._at)
            except (json.JSONDecodeError, RecursionError):
                end = len(self._text)
            if end < len(self._text):  # a number might go on behind what was read so far
                text = self._text[self._at : end]
                self._at = end
                return value, text
            self._more()

    def _more(self) -> None:
        try:  # as much again, so that a huge value is not read over and over
            more = self._read(max(_CHUNK, len(self._text) - self._at))
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: not UTF-8 ({error.reason}); export it again.") from error
        if not more:
            raise DataError(f"{self._path}: not valid GeoJSON (it ends too early); export it again.")
        self._text, self._at = self._text[self._at :] + more, 0


def _mentions(path: Path, word: bytes) -> bool:
    """Whether a file holds a word anywhere."""
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if word in last + chunk:
                return True
            last = chunk[-len(word) :]
    return False


PAGE = 5000  # features that are held at a time
_DEEPEST = 6  # times that an area is quartered; where features lie upon each other that helps no more
Shapes = NDArray[np.object_]
_FLAT = ("Point", "MultiPoint", "LineString", "MultiLineString", "CircularString", "CompoundCurve", "MultiCurve")
Box = tuple[float, float, float, float]


def choose_layer(path: Path, asked: str | None) -> str | None:
    """Choose the layer of a vector file: the named one, else the only one of areas; None for GeoJSON.

    Raises:
        DataError: the file is missing or no vector file, has no such layer, or several candidates.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file; give footprints as GeoJSON, GeoPackage or Shapefile.")
    if is_collection(path):
        if asked:
            raise DataError(f"{path}: layer={asked}, but GeoJSON has no layers; leave it out.")
        return None
    with _readable(path):
        kinds: dict[str, str | None] = dict(pyogrio.list_layers(path).tolist())
    if asked is not None:
        if asked not in kinds:
            raise DataError(f"{path}: has no layer {asked}; choose one of {', '.join(kinds)}.")
        return asked
    surely = [name for name, kind in kinds.items() if kind and ("Polygon" in kind or "Surface" in kind)]
    perhaps = [name for name, kind in kinds.items() if kind and not kind.startswith(_FLAT)]
    found = surely or perhaps or [*kinds]
    if len(found) != 1:
        raise DataError(f"{path}: has {len(found)} layers; say which holds the buildings: layer={' or '.join(found)}.")
    return found[0]


def read_crs(path: Path, layer: str | None = None) -> CRS:
    """Read the reference system of a vector file, from the layer of `choose_layer`.

    Raises:
        DataError: no vector file, or without a reference system.
    """
    try:
        name = collection_crs(path) if is_collection(path) else _info(path, layer)["crs"]
        return CRS.from_user_input(name)
    except (KeyError, TypeError, CRSError) as error:
        raise DataError(f"{path}: has no reference system; assign one to the layer and save it again.") from error


def read_shapes(path: Path, box: Box, layer: str | None = None) -> Iterator[Shapes]:
    """Yield 2-D geometries of features near a box (west, south, east, north); None for one without geometry.

    Raises:
        DataError: the file is damaged.
    """
    if is_collection(path):
        for texts in read_collection(path, PAGE):
            shapes = shapely.force_2d(shapely.from_geojson(texts, on_invalid="ignore"))
            yield shapes[_near(shapes, box)]
        return
    is_indexed = _info(path, layer)["capabilities"]["fast_spatial_filter"]
    for wkb in (_quarters if is_indexed else _pages)(path, box, layer):
        yield shapely.from_wkb(wkb)


def _near(shapes: Shapes, box: Box) -> NDArray[np.bool_]:
    """Select the bounding boxes meeting the box; features without geometry pass, to be counted."""
    west, south, east, north = shapely.bounds(shapes).T
    apart: NDArray[np.bool_] = (
        (west > box[2]) | (east < box[0]) | (south > box[3]) | (north < box[1])
    )  # False where there are no bounds
    return ~apart


def _quarters(path: Path, box: Box, layer: str | None) -> Iterator[Shapes]:
    """Ask an indexed file for ever smaller areas until few features answer."""
    seen: set[int] = set()  # of those that more than one area may answer
    waiting = [(box, 0)]
    while waiting:
        (west, south, east, north), depth = waiting.pop()
        most = PAGE + 1 if depth < _DEEPEST else None
        fids, wkb = _read(path, layer, bbox=(west, south, east, north), max_features=most)
        if most and len(wkb) == most:
            x, y = (west + east) / 2, (south + north) / 2
            parts = ((x, south, east, y), (west, south, x, y), (x, y, east, north), (west, y, x, north))
            waiting += [(part, depth + 1) for part in parts]
            continue
        low_x, low_y, high_x, high_y = shapely.bounds(shapely.from_wkb(wkb)).T
        inside = (low_x > west) & (low_y > south) & (high_x < east) & (high_y < north)
        shared = fids[~inside].tolist()
        new = inside.copy()
        new[~inside] = [fid not in seen for fid in shared]
        seen.update(shared)
        yield wkb[new]


def _pages(path: Path, box: Box, layer: str | None) -> Iterator[Shapes]:
    start = 0
    while True:
        _, wkb = _read(path, layer, bbox=box, skip_features=start, max_features=PAGE)
        yield wkb
        if len(wkb) < PAGE:
            return
        start += PAGE


def _info(path: Path, layer: str | None) -> dict[str, Any]:
    with _readable(path):
        info: dict[str, Any] = pyogrio.read_info(path, layer=layer)
    return info


def _read(path: Path, layer: str | None, **options: Any) -> tuple[NDArray[np.int64], Shapes]:
    """Feature ids and well-known binaries."""
    with _readable(path):
        _, fids, wkb, _ = pyogrio.raw.read(path, layer, columns=[], force_2d=True, return_fids=True, **options)
    return fids, wkb


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path}: not a vector file that can be read ({error}); export it again.") from error


@dataclass(frozen=True)
class Footprints:
    """polygons: in the pixel frame of a raster, valid, not cut. left_out: how many features, by reason."""

    polygons: Sequence[Polygon]
    left_out: Counter[str]


def read_footprints(
    path: Path, place: Georeference, size: tuple[int, int], *, layer: str | None = None
) -> Iterator[Footprints]:
    """Read the footprints that touch a raster of `size` = (height, width) pixels, some thousand at a time.

    Crossing outlines are repaired by shapely's `make_valid`; multipolygons come apart.

    Raises:
        DataError: the file is missing, no vector file, or without reference system; or the layer is not clear.
    """
    layer = choose_layer(path, layer)
    crs, (height, width) = read_crs(path, layer), size
    to_map = Transformer.from_crs(crs, CRS.from_wkt(place.crs), always_xy=True)

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        column, row = ~place.affine * np.array(to_map.transform(*points.T))
        return np.column_stack([column, row])

    frame = shapely.box(0, 0, width, height)
    for shapes in read_shapes(path, _box(place, height, width, crs), layer):
        parts, left_out = _areas(shapes)
        polygons = shapely.make_valid(shapely.transform(parts, to_pixels))
        touching = polygons[shapely.intersects(polygons, frame)]
        yield Footprints([p for p in shapely.get_parts(touching) if p.geom_type == "Polygon"], left_out)


def _areas(shapes: Shapes) -> tuple[Shapes, Counter[str]]:
    """Polygons, not yet all valid, and how many features are none."""
    left_out = Counter({"without geometry": int(shapely.is_missing(shapes).sum())})
    parts = shapely.get_parts(shapely.make_valid(shapes[~shapely.is_missing(shapes)]))
    parts = shapely.get_parts(parts)  # make_valid may have made collections of multipolygons
    flat = shapely.get_dimensions(parts) < 2
    left_out["not an area"] = int(flat.sum())
    return parts[~flat], +left_out


def _box(place: Georeference, height: int, width: int, crs: CRS) -> Box:
    """West, south, east, north of a raster in another reference system."""
    corners = place.to_map(np.array([(0.0, 0), (width, 0), (width, height), (0, height)]))
    back = Transformer.from_crs(CRS.from_wkt(place.crs), crs, always_xy=True)
    west, south, east, north = back.transform_bounds(*corners.min(axis=0), *corners.max(axis=0))
    return west, south, east, north
