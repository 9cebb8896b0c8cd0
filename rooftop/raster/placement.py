"""Position of a raster on the map, as far as its file tells it.

Corners (in the file, a world file or .aux.xml) with a reference system place a raster. Ground control points do so as
well if an affine map runs through them. All else is told with the command that mends it: corners without a reference
system, bent control points, rational polynomials (RPC), a table of coordinates. A file that tells
nothing may have the name of a tile.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.io import DatasetReader

from rooftop.errors import SourceError
from rooftop.raster.georeference import Georeference, assumed_gsd, code_of, is_same_system, parse_system
from rooftop.raster.slippy import tile_georeference

_STRAIGHT = 0.5  # px by which ground control points may miss an affine map
_CODE = "EPSG:CODE"
_BY_HAND = "gdal_translate -a_srs EPSG:CODE -a_ullr LEFT TOP RIGHT BOTTOM"


@dataclass(frozen=True)
class Placement:
    """Position of a raster on the map.

    Attributes:
        georeference: None: unknown, or known in part.
        gsd: metres per pixel where the position is known in part: from its corners; None: unknown.
        warning: what is missing or left aside, and the remedy; to follow the name of the file. Empty: nothing.
    """

    georeference: Georeference | None = None
    gsd: float | None = None
    warning: str = ""


def is_placed(dataset: DatasetReader) -> bool:
    """Report whether a file tells anything about its position on the map."""
    return bool(dataset.crs or _has_corners(dataset) or dataset.gcps[0] or _is_warpable(dataset))


def find_placement(dataset: DatasetReader, path: str, crs: str | None = None) -> Placement:
    """Find the position of an open raster.

    Args:
        dataset: open raster.
        path: for messages.
        crs: reference system of a raster without a usable one, e.g. "EPSG:32645"; None: unknown.

    Raises:
        SourceError: `crs` does not fit the raster, or the raster has nothing that it could complete.
    """
    found = _find(dataset, path, crs)
    if crs and not found.georeference:
        reason = found.warning or "has no corners on a map; leave crs out, and find roofs in pixels"
        raise SourceError(f"{path}: crs={crs} cannot place it: it {reason}.")
    return found


def _find(dataset: DatasetReader, path: str, crs: str | None) -> Placement:
    points, system = dataset.gcps
    if _has_corners(dataset):
        return _of_affine(dataset, dataset.transform, _wkt(dataset.crs), path=path, crs=crs)
    if points:
        return _of_points(dataset, points, _wkt(system), path=path, crs=crs)
    warning = _missing(dataset, shlex.quote(path))
    tile = None if warning else tile_georeference(Path(path), dataset.height, dataset.width)
    return Placement(tile, warning=warning)


def _of_affine(
    dataset: DatasetReader, affine: Affine, own: str | None, *, path: str, crs: str | None, source: str = "corners"
) -> Placement:
    """Placement by an affine map and the file's own reference system, else by that of `crs`."""
    height, width = dataset.height, dataset.width
    if own:
        placed = Georeference(affine, own)
        if crs is None or is_same_system(own, parse_system(crs)):
            return Placement(placed)
        if placed.is_on_earth(height, width):
            return Placement(
                placed,
                warning=f"keeps its own reference system, {placed.name}, since crs={crs} is for files without one; "
                f"if its own is wrong, replace it: {_assign(dataset, path, crs)}",
            )
    gsd = assumed_gsd(affine, height, width)
    if gsd is None:
        return Placement(
            warning=f"has {source} that give its pixels no size; correct them: {_BY_HAND} {shlex.quote(path)} OUT.tif"
        )
    if crs is None:
        code = _code_beside(path) or _CODE
        return Placement(
            gsd=gsd,
            warning=f"has {source} but no reference system; set crs={code}, or write it into the file: "
            f"{_assign(dataset, path, code)}",
        )
    placed = Georeference(affine, parse_system(crs))
    if reason := placed.misfit(height, width):
        raise SourceError(f"{path}: crs={crs} does not fit its {source}: {reason}.")
    return Placement(placed)


def _of_points(
    dataset: DatasetReader, points: Sequence[GroundControlPoint], own: str | None, *, path: str, crs: str | None
) -> Placement:
    """Placement by ground control points: exact if an affine map runs through them."""
    fitted = _fitted(points)
    if fitted is None:
        return Placement(
            warning="has ground control points that are too few or on one line; give it corners: "
            f"{_BY_HAND} {shlex.quote(path)} OUT.tif"
        )
    affine, miss = fitted
    if miss <= _STRAIGHT:
        return _of_affine(dataset, affine, own, path=path, crs=crs, source="ground control points")
    height, width = dataset.height, dataset.width
    system = own or (crs and parse_system(crs))
    placed = Georeference(affine, system) if system else None
    known = placed is not None and placed.is_on_earth(height, width)
    target = placed.utm(height, width) if placed and known else _CODE
    given = "" if own else f"-s_srs {crs or _CODE} "
    return Placement(
        gsd=placed.metres_per_pixel(height, width) if placed and known else assumed_gsd(affine, height, width),
        warning=f"has ground control points up to {miss:,.1f} px off a straight map; lay it on the map first: "
        f"gdalwarp {given}-t_srs {target} -r cubic {shlex.quote(path)} OUT.tif",
    )


def _missing(dataset: DatasetReader, path: str) -> str:
    """Return what a file without corners and control points lacks; empty if it tells nothing at all."""
    if polynomials := dataset.rpcs:
        target = Georeference.zone(polynomials.long_off, polynomials.lat_off)
        return (
            f"has rational polynomials (RPC) in place of corners; lay it on the map first: gdalwarp -rpc -t_srs "
            f"{target} -r cubic {path} OUT.tif"
        )
    if _is_warpable(dataset):
        return (
            "has a table of coordinates in place of corners; lay it on the map first: gdalwarp -geoloc -t_srs "
            f"{_CODE} -r cubic {path} OUT.tif"
        )
    if dataset.crs:
        return (
            "has a reference system but no corners; give it them: gdal_translate -a_ullr LEFT TOP RIGHT BOTTOM "
            f"{path} OUT.tif"
        )
    return ""


def _is_warpable(dataset: DatasetReader) -> bool:
    return bool(dataset.rpcs) or "GEOLOCATION" in dataset.tag_namespaces()


def _has_corners(dataset: DatasetReader) -> bool:
    """Report whether the affine is one of a map: not the identity, also not with rows counted from below."""
    a, b, c, d, e, f = dataset.transform[:6]
    is_unit = (a, b, d, abs(e)) == (1, 0, 0, 1)
    return not (is_unit and abs(c) <= 1 and min(abs(f), abs(f - dataset.height)) <= 1)


def _fitted(points: Sequence[GroundControlPoint]) -> tuple[Affine, float] | None:
    """Fit an affine map to ground control points.

    Returns:
        The map, and the largest distance in pixels of a point from it; None: fewer than three points, or on one line.
    """
    pixels = np.array([(point.col, point.row) for point in points], float)
    places = np.array([(point.x, point.y) for point in points], float)
    middle, centre = pixels.mean(axis=0), places.mean(axis=0)
    if not (np.isfinite(pixels).all() and np.isfinite(places).all()):
        return None
    matrix, _, rank, _ = np.linalg.lstsq(pixels - middle, places - centre, rcond=1e-9)
    if rank < 2 or not np.linalg.det(matrix):
        return None
    c, f = centre - middle @ matrix
    missed = (places - centre - (pixels - middle) @ matrix) @ np.linalg.inv(matrix)
    (a, d), (b, e) = matrix.tolist()
    return Affine(a, b, float(c), d, e, float(f)), float(np.hypot(*missed.T).max())


def _wkt(system: object) -> str | None:
    return system.to_wkt() if system else None  # type: ignore[attr-defined]


def _code_beside(path: str) -> str | None:
    """Return the code of the reference system in a .prj beside a file, e.g. "EPSG:32645"."""
    beside = Path(path).with_suffix(".prj")
    try:
        return code_of(beside.read_text(errors="replace")[:10_000]) if beside.is_file() else None
    except OSError:
        return None


def _assign(dataset: DatasetReader, path: str, code: str) -> str:
    """Return the command that writes a reference system into a file, or into a copy if GDAL cannot change it."""
    name = shlex.quote(path)
    if dataset.driver == "GTiff" and not math.isnan(dataset.transform.a):
        return f"gdal_edit.py -a_srs {code} {name}"
    return f"gdal_translate -a_srs {code} {name} OUT.tif"
