"""Building footprints out of GeoJSON, GeoPackage, Shapefile or whatever else GDAL reads, in any reference system."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely import Polygon

from rooftop.polygons.features import Box, Shapes, choose_layer, read_crs, read_shapes
from rooftop.raster.georeference import Georeference


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
        DataError: missing, no vector file, without a reference system, or `layer` does not tell which to read.
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
