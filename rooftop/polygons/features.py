"""Features of vector files, some thousand at a time, so that memory does not grow with the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from rooftop.errors import DataError
from rooftop.polygons.collection import collection_crs, is_collection, read_collection

PAGE = 5000  # features that are held at a time
_DEEPEST = 6  # times that an area is quartered; where features lie upon each other that helps no more
Shapes = NDArray[np.object_]
_FLAT = ("Point", "MultiPoint", "LineString", "MultiLineString", "CircularString", "CompoundCurve", "MultiCurve")
Box = tuple[float, float, float, float]


def choose_layer(path: Path, asked: str | None) -> str | None:
    """The layer of a vector file to read: the one asked for, else the only one of areas; None for GeoJSON.

    Raises:
        DataError: missing, no vector file, without that layer, or with several that may be meant.
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
    """Reference system of a vector file, of the layer that `choose_layer` gives.

    Raises:
        DataError: no vector file, or without a reference system.
    """
    try:
        name = collection_crs(path) if is_collection(path) else _info(path, layer)["crs"]
        return CRS.from_user_input(name)
    except (KeyError, TypeError, CRSError) as error:
        raise DataError(f"{path}: has no reference system; assign one to the layer and save it again.") from error


def read_shapes(path: Path, box: Box, layer: str | None = None) -> Iterator[Shapes]:
    """Geometries, 2-D, None where a feature has none, of the features near a box (west, south, east, north).

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
    """Which bounding boxes meet the box; a feature without geometry is let through, to be counted."""
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
