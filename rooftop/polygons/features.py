"""Features of vector files, some thousand at a time, so that memory does not grow with the file."""

from collections.abc import Iterator
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
Box = tuple[float, float, float, float]


def read_crs(path: Path) -> CRS:
    """Reference system of a vector file.

    Raises:
        DataError: missing, no vector file, or without a reference system.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file; give footprints as GeoJSON, GeoPackage or Shapefile.")
    try:
        name = collection_crs(path) if is_collection(path) else _info(path)["crs"]
        return CRS.from_user_input(name)
    except (KeyError, TypeError, CRSError) as error:
        raise DataError(f"{path}: has no reference system; assign one to the layer and save it again.") from error


def read_shapes(path: Path, box: Box) -> Iterator[Shapes]:
    """Geometries, 2-D, None where a feature has none, of the features near a box (west, south, east, north).

    Raises:
        DataError: the file is damaged.
    """
    if is_collection(path):
        for texts in read_collection(path, PAGE):
            shapes = shapely.force_2d(shapely.from_geojson(texts, on_invalid="ignore"))
            yield shapes[_near(shapes, box)]
        return
    pages = _quarters(path, box) if _info(path)["capabilities"]["fast_spatial_filter"] else _pages(path, box)
    for wkb in pages:
        yield shapely.from_wkb(wkb)


def _near(shapes: Shapes, box: Box) -> NDArray[np.bool_]:
    """Which bounding boxes meet the box; a feature without geometry is let through, to be counted."""
    west, south, east, north = shapely.bounds(shapes).T
    apart: NDArray[np.bool_] = (
        (west > box[2]) | (east < box[0]) | (south > box[3]) | (north < box[1])
    )  # False where there are no bounds
    return ~apart


def _quarters(path: Path, box: Box) -> Iterator[Shapes]:
    """Ask an indexed file for ever smaller areas until few features answer."""
    seen: set[int] = set()  # of those that more than one area may answer
    waiting = [(box, 0)]
    while waiting:
        (west, south, east, north), depth = waiting.pop()
        most = PAGE + 1 if depth < _DEEPEST else None
        fids, wkb = _read(path, bbox=(west, south, east, north), max_features=most)
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


def _pages(path: Path, box: Box) -> Iterator[Shapes]:
    start = 0
    while True:
        _, wkb = _read(path, bbox=box, skip_features=start, max_features=PAGE)
        yield wkb
        if len(wkb) < PAGE:
            return
        start += PAGE


def _info(path: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = pyogrio.read_info(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path}: not a vector file that can be read ({error}); export it again.") from error
    return info


def _read(path: Path, **options: Any) -> tuple[NDArray[np.int64], Shapes]:
    """Feature ids and well-known binaries."""
    try:
        _, fids, wkb, _ = pyogrio.raw.read(path, columns=[], force_2d=True, return_fids=True, **options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path}: not a vector file that can be read ({error}); export it again.") from error
    return fids, wkb
