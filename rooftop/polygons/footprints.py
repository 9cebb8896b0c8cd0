"""Building footprints out of GeoJSON, GeoPackage, Shapefile or whatever else GDAL reads, in any reference system."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely import Polygon

from rooftop.errors import DataError
from rooftop.raster.georeference import Georeference


@dataclass(frozen=True)
class Footprints:
    """polygons: in the pixel frame of a raster, valid, not cut. left_out: how many features, by reason."""

    polygons: Sequence[Polygon]
    left_out: Counter[str]


def read_footprints(path: Path, place: Georeference, height: int, width: int) -> Footprints:
    """Read the footprints that touch a raster of `height` x `width` pixels.

    Crossing outlines are repaired by shapely's `make_valid`; multipolygons come apart.

    Raises:
        DataError: missing, no vector file, or without a reference system.
    """
    crs, wkb = _read(path, place, height, width)
    shapes = shapely.from_wkb(wkb)
    left_out = Counter({"without geometry": int(shapely.is_missing(shapes).sum())})
    parts = shapely.get_parts(shapely.make_valid(shapes[~shapely.is_missing(shapes)]))
    parts = shapely.get_parts(parts)  # make_valid may have made collections of multipolygons
    flat = shapely.get_dimensions(parts) < 2
    left_out["not an area"] = int(flat.sum())
    to_map = Transformer.from_crs(crs, CRS.from_wkt(place.crs), always_xy=True)

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        column, row = ~place.affine * np.array(to_map.transform(*points.T))
        return np.column_stack([column, row])

    polygons = shapely.make_valid(shapely.transform(parts[~flat], to_pixels))
    touching = shapely.intersects(polygons, shapely.box(0, 0, width, height))
    return Footprints([p for p in shapely.get_parts(polygons[touching]) if p.geom_type == "Polygon"], +left_out)


def _read(path: Path, place: Georeference, height: int, width: int) -> tuple[CRS, NDArray[np.object_]]:
    """Reference system and well-known binaries of the features near a raster; an index in the file is made use of."""
    if not path.exists():
        raise DataError(f"{path}: no such file; give footprints as GeoJSON, GeoPackage or Shapefile.")
    try:
        name = pyogrio.read_info(path)["crs"]
        if name is None:
            raise DataError(f"{path}: has no reference system; assign one to the layer and save it again.")
        crs = CRS.from_user_input(name)
        corners = place.to_map(np.array([(0.0, 0), (width, 0), (width, height), (0, height)]))
        back = Transformer.from_crs(CRS.from_wkt(place.crs), crs, always_xy=True)
        box = back.transform_bounds(*corners.min(axis=0), *corners.max(axis=0))
        return crs, pyogrio.raw.read(path, columns=[], bbox=box, force_2d=True)[2]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path}: not a vector file that can be read ({error}); export it again.") from error
