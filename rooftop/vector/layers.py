"""Layers of vector files in any GDAL format, some thousand features at a time, at constant memory.

Whatever GDAL objects to ends in one sentence. Its warnings are silenced: features left out are counted here.
"""

import logging
import os
import re
import shlex
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from rooftop.errors import ConfigError, DataError
from rooftop.vector import geojson
from rooftop.vector.shapes import Areas, Parts, Shapes, json_parts, parse_geojson, parse_wkb, read_areas, wkb_parts

logging.getLogger("pyogrio").setLevel(logging.ERROR)

PAGE = 5000  # features that are held at a time
_DEEPEST = 6  # times that an area is quartered; where features lie upon each other that helps no more
_AREAS = ("Polygon", "Surface", "TIN", "Triangle")  # in names of geometry types
_FLAT = ("Point", "MultiPoint", "LineString", "MultiLineString", "CircularString", "CompoundCurve", "MultiCurve")
_TAGS = {"landuse", "leisure", "natural"}  # of OpenStreetMap, for other ground than buildings
_BUILDINGS = "building IS NOT NULL AND building <> 'no'"
_UNDEFINED = "Undefined"  # with which GDAL names the reference systems -1 and 0 of GeoPackage: there is none
_WHICH = "layers; say which holds the buildings: layer="
CHECK_FIRST = "check_first"  # our layer of squares to look at, beside that of the roofs
_SHORT = 300  # characters of an error of GDAL that are repeated
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Page:
    """Some features of a layer.

    Attributes:
        names: of the features, for messages: FIDs, "way 1" or "relation 1" of OpenStreetMap, or, in GeoJSON, numbers
            from 1 in the order of the file.
        areas: of the features.
        filtered: names of features near the box that the filter leaves out.
    """

    names: list[Any]
    areas: Areas
    filtered: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Layer:
    """A layer of a vector file.

    Attributes:
        path: of the file.
        name: of the layer; None: the features of a GeoJSON collection, read as a stream.
        crs: reference system.
        where: attribute filter; "": none.
        is_default: the filter was not asked for: only buildings of OpenStreetMap.
        needed: fields that the filter and the names need.
        geometry: name of its column; "": unknown.
        is_indexed: areas are found without reading the whole file.
        chosen: of GeoJSON, the features that pass the filter, bool (features,); None: all.
    """

    path: Path
    name: str | None
    crs: CRS
    where: str = ""
    is_default: bool = True
    needed: list[str] = field(default_factory=list)
    geometry: str = ""
    is_indexed: bool = False
    chosen: NDArray[np.bool_] | None = None

    @property
    def reason(self) -> str:
        """Why the filter leaves features out."""
        return "without a building tag" if self.is_default else f"outside where={self.where}"

    def pages(self, box: Box) -> Iterator[Page]:
        """Yield the features near a box (west, south, east, north), those without a position included.

        Raises:
            DataError: the file is damaged.
        """
        yield from _stream(self, box) if self.name is None else _pages(self, box)


def open_layer(path: Path, name: str | None = None, where: str | None = None, *, which: str = _WHICH) -> Layer:
    """Open a layer of a vector file.

    Args:
        path: of the file.
        name: of the layer; None: the only one of areas.
        where: attribute filter as GDAL has it; "": none; None: of OpenStreetMap buildings, else none.
        which: asks for one of several layers in a message; their names follow.

    Raises:
        DataError: the file is missing or no vector file, has no such layer, several candidates, or no reference system.
        ConfigError: GDAL does not understand the filter.
    """
    name = choose_layer(path, name, which=which)
    layer = Layer(path, name, _read_crs(path, name))
    if name is None and not _needs_fields(path, where):
        return layer
    info = _info(path, name)
    fields = info["fields"].tolist()
    chosen = _default_filter(fields) if where is None else where.strip()
    identities = ["osm_id", "osm_way_id"] if info["driver"] == "OSM" else []
    layer = replace(
        layer,
        where=chosen,
        is_default=where is None,
        needed=[each for each in fields if each in identities or each.lower() in chosen.lower()],
        geometry=info["geometry_name"] or "",
        is_indexed=bool(info["capabilities"]["fast_spatial_filter"]),
    )
    if not chosen or (where is None and name):
        return layer
    _check_names(path, chosen, [*fields, info["fid_column"], info["geometry_name"]])
    with _filtered(path, chosen, fields):
        if name is None:
            return replace(layer, chosen=_chosen(layer, info["layer_name"]))
        _read(layer, read_geometry=False, max_features=1)
    return layer


def choose_layer(path: Path, asked: str | None, *, which: str = _WHICH) -> str | None:
    """Choose the layer of a vector file: the named one, else the only one of areas; None for GeoJSON.

    `check_first`, which `predict.py` writes beside its roofs, is taken only if it is named.

    Raises:
        DataError: the file is missing or no vector file, has no such layer, or several candidates.
    """
    _require_file(path)
    if geojson.is_collection(path):
        if asked:
            raise DataError(f"{path}: layer={asked}, but GeoJSON has no layers; leave it out.")
        return None
    kinds = _kinds(path)
    if asked is not None:
        if asked not in kinds:
            raise DataError(f"{path}: has no layer {asked}; choose one of {', '.join(kinds)}.")
        return asked
    kinds = {name: kind for name, kind in kinds.items() if name != CHECK_FIRST} or kinds
    surely = [name for name, kind in kinds.items() if kind and any(area in kind for area in _AREAS)]
    perhaps = [name for name, kind in kinds.items() if kind and not kind.startswith(_FLAT)]
    found = surely or perhaps or [*kinds]
    if len(found) != 1:
        raise DataError(f"{path}: has {len(found)} {which}{' or '.join(found)}.")
    return found[0]


def layer_names(path: Path) -> list[str]:
    """Return the names of the layers of a vector file; GeoJSON has none.

    Raises:
        DataError: the file is missing or no vector file.
    """
    _require_file(path)
    return [] if geojson.is_collection(path) else [*_kinds(path)]


def _kinds(path: Path) -> dict[str, str | None]:
    """Geometry types of the layers of a file; None of a table without geometry."""
    with _readable(path):
        return dict(pyogrio.list_layers(path).tolist())


def _require_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(
            f"{path}: no such file ({error.strerror}); give polygons as GeoJSON, GeoPackage or Shapefile."
        ) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a FIFO would be waited for
        raise DataError(f"{path}: a pipe or device; save the footprints to a file.")
    if stat.S_ISREG(mode) and not os.access(path, os.R_OK):
        raise DataError(f"{path}: not readable; give yourself the right to read it.")


def assign_crs(path: Path) -> str:
    """Return the command to write a file with another reference system; the code is an example."""
    return f"ogr2ogr -a_srs EPSG:32645 {shlex.quote(path.stem)}_placed.gpkg {shlex.quote(str(path))}"


def _read_crs(path: Path, name: str | None) -> CRS:
    try:
        crs = CRS.from_user_input(geojson.collection_crs(path) if name is None else _info(path, name)["crs"])
    except (KeyError, TypeError, CRSError) as error:
        raise _without_crs(path) from error
    if crs.name.startswith(_UNDEFINED):
        raise _without_crs(path)
    return crs


def _without_crs(path: Path) -> DataError:
    return DataError(f"{path}: has no reference system; assign one to the layer, e.g. {assign_crs(path)}")


# --- filter ---


def _needs_fields(path: Path, where: str | None) -> bool:
    """Whether the fields of a GeoJSON matter, known only after reading it all: it has a filter, or may have tags."""
    if where is not None:
        return bool(where.strip())
    return geojson.mentions(path, b'"building"') and any(
        geojson.mentions(path, f'"{tag}"'.encode()) for tag in sorted(_TAGS)
    )


def _default_filter(fields: list[str]) -> str:
    """Return the filter of layers with the tags of OpenStreetMap, which hold all kinds of ground; else none."""
    return _BUILDINGS if "building" in fields and _TAGS & set(fields) else ""


def _check_names(path: Path, where: str, known: list[str | None]) -> None:
    """Refuse unknown names in double quotes: SQLite takes them for texts, and the filter would pass everything."""
    names = {name.lower() for name in known if name}
    for quoted in re.findall(r'"([^"]*)"', re.sub(r"'[^']*'", "", where)):
        if quoted.lower() not in names:
            fields = ", ".join(name for name in known if name)
            raise ConfigError(
                f"where={where}: {path} has no field {quoted}; it has {fields}; texts stand in single quotes."
            )


@contextmanager
def _filtered(path: Path, where: str, fields: list[str]) -> Iterator[None]:
    try:
        yield
    except (ValueError, DataError) as error:
        raise ConfigError(
            f'where={where}: not a filter of GDAL for {path}, such as "height > 2" or "kind = \'house\'"; its fields '
            f"are {', '.join(fields) or 'none'}."
        ) from error


def _chosen(layer: Layer, name: str) -> NDArray[np.bool_]:
    """Features of a GeoJSON that pass the filter, by position; GDAL evaluates it."""
    with _readable(layer.path):
        common = {"columns": layer.needed, "read_geometry": False, "return_fids": True}
        fids = [pyogrio.raw.read(layer.path, name, where=where, **common)[1] for where in (None, layer.where)]
    return np.isin(*fids)


# --- GeoJSON as a stream ---


def _stream(layer: Layer, box: Box) -> Iterator[Page]:
    start = 0
    for texts in geojson.read_collection(layer.path, PAGE):
        shapes = parse_geojson(texts)
        near = np.flatnonzero(_near(shapes, box))
        passes = np.ones(len(texts), bool) if layer.chosen is None else layer.chosen[start : start + len(texts)]
        if len(passes) != len(texts):
            raise DataError(
                f"{layer.path}: GDAL, asked for where={layer.where}, reads fewer features than there are; convert it: "
                f"ogr2ogr {layer.path.with_suffix('.gpkg').name} {layer.path}"
            )
        kept = near[passes[near]]
        areas = read_areas(shapes[kept], partial(_json_feature, texts[kept]))
        yield Page((start + kept + 1).tolist(), areas, (start + near[~passes[near]] + 1).tolist())
        start += len(texts)


def _json_feature(texts: Shapes, i: int) -> Parts | None:
    return None if texts[i] is None else json_parts(geojson.decode(texts[i])["geometry"])


def _near(shapes: Shapes, box: Box) -> NDArray[np.bool_]:
    """Select the bounding boxes meeting the box; features without a position pass, to be counted."""
    west, south, east, north = shapely.bounds(shapes).T
    apart: NDArray[np.bool_] = (
        (west > box[2]) | (east < box[0]) | (south > box[3]) | (north < box[1])
    )  # False where there are no bounds
    return ~apart


# --- all other formats ---


def _pages(layer: Layer, box: Box) -> Iterator[Page]:
    left = _names_near(layer, box) if layer.where else set()
    if unplaced := _unplaced(layer):
        nothing = np.full(len(unplaced), None, dtype=object)
        yield Page(unplaced, read_areas(nothing, partial(_wkb_feature, nothing)))
    for names, wkb in _features(layer, box):
        left.difference_update(names)
        yield Page(names, read_areas(parse_wkb(wkb), partial(_wkb_feature, wkb)))
    if left:
        nothing = np.empty(0, dtype=object)
        yield Page([], read_areas(nothing, partial(_wkb_feature, nothing)), sorted(left))


def _unplaced(layer: Layer) -> list[Any]:
    """Names of the features without geometry, unknown to the spatial filter; none where that takes a pass too many."""
    if layer.is_indexed or "osm_way_id" in layer.needed:
        return []
    column = f'"{layer.geometry}"' if layer.geometry else "OGR_GEOMETRY"
    where = f"{column} IS NULL" + (f" AND ({layer.where})" if layer.where else "")
    try:
        return _read(replace(layer, where=where))[1]
    except (DataError, ValueError):
        return []


def _features(layer: Layer, box: Box) -> Iterator[tuple[list[Any], Shapes]]:
    """Names and well-known binaries near a box, by GDAL's spatial filter as long as it works.

    The filter hands a feature across its border to GEOS, and a bad one ends the reading. The others are then found
    among all features of the layer.
    """
    done = [np.empty(0, np.int64)]
    try:
        for fids, names, wkb in (_quarters if layer.is_indexed else _in_order)(layer, box):
            done.append(fids)
            yield names, wkb
    except DataError:
        known = np.concatenate(done)
        for fids, names, wkb in _in_order(layer, None):
            new = np.flatnonzero(_near(parse_wkb(wkb), box) & ~np.isin(fids, known))
            yield [names[i] for i in new], wkb[new]


def _names_near(layer: Layer, box: Box) -> set[Any]:
    """Names of all features near a box, whether they pass the filter of the layer or not."""
    everything = replace(layer, where="")
    try:
        return set(_read(everything, bbox=box, read_geometry=False)[1])
    except DataError:
        return {name for names, _ in _features(everything, box) for name in names}


def _wkb_feature(texts: Shapes, i: int) -> Parts | None:
    return None if texts[i] is None else wkb_parts(texts[i])


def _quarters(layer: Layer, box: Box) -> Iterator[tuple[NDArray[np.int64], list[Any], Shapes]]:
    """Ask an indexed file for ever smaller areas until few features answer."""
    seen: set[int] = set()  # of those that more than one area may answer
    waiting = [(box, 0)]
    while waiting:
        (west, south, east, north), depth = waiting.pop()
        most = PAGE + 1 if depth < _DEEPEST else None
        fids, names, wkb = _read(layer, bbox=(west, south, east, north), max_features=most)
        if most and len(wkb) == most:
            x, y = (west + east) / 2, (south + north) / 2
            parts = ((x, south, east, y), (west, south, x, y), (x, y, east, north), (west, y, x, north))
            waiting += [(part, depth + 1) for part in parts]
            continue
        low_x, low_y, high_x, high_y = shapely.bounds(parse_wkb(wkb)).T
        inside = (low_x > west) & (low_y > south) & (high_x < east) & (high_y < north)
        shared = fids[~inside].tolist()
        new = inside.copy()
        new[~inside] = [fid not in seen for fid in shared]
        seen.update(shared)
        yield fids[new], [names[i] for i in np.flatnonzero(new)], wkb[new]


def _in_order(layer: Layer, box: Box | None) -> Iterator[tuple[NDArray[np.int64], list[Any], Shapes]]:
    start = 0
    while True:
        fids, names, wkb = _read(layer, bbox=box, skip_features=start, max_features=PAGE)
        yield fids, names, wkb
        if len(wkb) < PAGE:
            return
        start += PAGE


def _info(path: Path, name: str | None) -> dict[str, Any]:
    with _readable(path):
        info: dict[str, Any] = pyogrio.read_info(path, layer=name)
    return info


def _read(layer: Layer, **options: Any) -> tuple[NDArray[np.int64], list[Any], Any]:
    """FIDs, names and well-known binaries. Without the fields of the filter, Shapefiles would answer nothing to it."""
    with _readable(layer.path):
        meta, fids, wkb, values = pyogrio.raw.read(
            layer.path, layer.name, columns=layer.needed, return_fids=True, where=layer.where or None, **options
        )
    fields = dict(zip(meta["fields"], values, strict=True))
    if "osm_way_id" not in fields:
        return fids, fids.tolist(), wkb
    ways = zip(fields["osm_id"], fields["osm_way_id"], strict=True)  # FIDs of ways and relations collide
    return fids, [f"relation {one}" if one else f"way {other}" for one, other in ways], wkb


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataSourceError, DataLayerError, UnicodeDecodeError) as error:
        if "duckdb" in str(error) or path.suffix.lower() in (".parquet", ".geoparquet"):
            raise DataError(
                f"{path}: GeoParquet cannot be read here; convert it: pip install geopandas pyarrow && python -c "
                f"\"import geopandas; geopandas.read_parquet('{path}').to_file('{path.with_suffix('.gpkg').name}')\""
            ) from error
        reason = " ".join(str(error).split())[:_SHORT]
        if "Geometry type is not supported" in reason:  # a layer declared as one of surfaces in space
            target = shlex.quote(f"{path.stem}_any.gpkg")
            raise DataError(
                f"{path}: has a layer of surfaces that cannot be read as it is; convert it: "
                f"ogr2ogr -nlt GEOMETRY {target} {shlex.quote(str(path))}"
            ) from error
        raise DataError(f"{path}: not a vector file that can be read ({reason}); export it again.") from error
