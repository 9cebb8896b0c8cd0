"""Building footprints of a vector layer in the pixel frame of a raster, at constant memory."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely import Polygon

from rooftop.errors import DataError
from rooftop.raster.georeference import Georeference
from rooftop.vector.layers import Box, Layer, Page, assign_crs
from rooftop.vector.shapes import each

_FARTHEST = (
    1e7  # pixels from the corner of the raster to that of a building; far from its map, projections make things up
)


@dataclass(frozen=True)
class Footprints:
    """Footprints of some features.

    Attributes:
        polygons: in the pixel frame of a raster, valid, not cut.
        left_out: names of features by reason, such as "feature without geometry".
        names: of the feature of each polygon.
        repaired: names of features whose outline crossed itself.
    """

    polygons: Sequence[Polygon]
    left_out: Mapping[str, Sequence[Any]]
    names: Sequence[Any]
    repaired: Set[Any]


def read_footprints(layer: Layer, place: Georeference, size: tuple[int, int]) -> Iterator[Footprints]:
    """Read the footprints that touch a raster, some thousand at a time.

    Crossing outlines are repaired by shapely's `make_valid`; multipolygons come apart. Bad features are left out.

    Args:
        layer: of the footprints.
        place: georeference of the raster.
        size: (height, width) of the raster in pixels.

    Raises:
        DataError: the file is damaged, or its reference system is a local one.
    """
    height, width = size
    with _projecting(layer, place):
        if layer.crs.is_geocentric or (layer.crs.is_vertical and not layer.crs.sub_crs_list):
            raise CRSError("not of a map")  # PROJ would take its coordinates for those of one
        to_map = Transformer.from_crs(layer.crs, CRS.from_wkt(place.crs), always_xy=True)
        box = _box(place, height, width, layer.crs)
    if not np.isfinite(box).all():
        return  # the raster shows ground that the reference system of the footprints has no coordinates for

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):  # points without a place on the map become infinite, then NaN
            column, row = ~place.affine * np.array(to_map.transform(*points.T))
        return np.column_stack([column, row])

    frame = shapely.box(0, 0, width, height)
    for page in layer.pages(box):
        with _projecting(layer, place):
            areas = page.areas.mapped(to_pixels, most=max(_FARTHEST, 2.0 * max(size)))
        is_touching = each(lambda polygons: shapely.intersects(polygons, frame), areas.polygons).astype(bool)
        kept = set(areas.owners.tolist())
        yield Footprints(
            areas.polygons[is_touching].tolist(),
            _left_out(layer, page, areas.faults, kept),
            [page.names[i] for i in areas.owners[is_touching]],
            {page.names[i] for i in areas.repaired},
        )


def _left_out(layer: Layer, page: Page, faults: Mapping[int, str], kept: set[int]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {f"feature {layer.reason}": page.filtered} if page.filtered else {}
    for i, reason in sorted(faults.items()):
        found.setdefault(f"{'part of a feature' if i in kept else 'feature'} {reason}", []).append(page.names[i])
    return found


@contextmanager
def _projecting(layer: Layer, place: Georeference) -> Iterator[None]:
    try:
        yield
    except (ProjError, CRSError) as error:
        raise DataError(
            f"{layer.path}: its reference system, {layer.crs.name}, cannot be brought to that of the raster, "
            f"{place.name}; assign the right one: {assign_crs(layer.path)}"
        ) from error


def _box(place: Georeference, height: int, width: int, crs: CRS) -> Box:
    """West, south, east, north of a raster in another reference system."""
    corners = place.to_map(np.array([(0.0, 0), (width, 0), (width, height), (0, height)]))
    back = Transformer.from_crs(CRS.from_wkt(place.crs), crs, always_xy=True)
    west, south, east, north = back.transform_bounds(*corners.min(axis=0), *corners.max(axis=0))
    if west > east:  # across the antimeridian
        west, east = -180.0, 180.0
    return west, south, east, north
