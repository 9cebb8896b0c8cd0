import math

import numpy as np
import pytest
import shapely
from pyproj import CRS
from rasterio import Affine
from shapely import affinity, box

from rooftop.raster.georeference import Georeference
from rooftop.raster.rasterise import rasterise


@pytest.fixture
def labelled():
    """Labels int32 (H, W) of polygons drawn one after the other, turned by some degrees about the middle."""

    def draw(polygons, turn, height=70, width=90):
        labels = np.zeros((height, width), np.int32)
        for label, polygon in enumerate(polygons, 1):
            turned = affinity.rotate(polygon, turn, origin=(width / 2, height / 2))
            labels[rasterise([turned], height, width) > 0] = label
        return labels

    return draw


@pytest.fixture
def row_houses():
    """Three houses that share two walls, one of them deeper, and one that stands alone."""
    return [box(20, 20, 38, 40), box(38, 20, 55, 48), box(55, 20, 70, 40), box(20, 50, 34, 60)]


@pytest.fixture
def utm():
    """0.5 m pixels in UTM zone 45 north."""
    return Georeference(Affine(0.5, 0, 500_000, 0, -0.5, 3_060_000), CRS.from_epsg(32645).to_wkt())


@pytest.fixture
def corners_off_square():
    """For each corner of a polygon's rings, by how many degrees it misses a right or straight angle."""

    def measure(polygon):
        found = []
        for ring in (polygon.exterior, *polygon.interiors):
            points = shapely.get_coordinates(ring)[:-1]
            along = np.roll(points, -1, axis=0) - points
            bearing = np.arctan2(along[:, 1], along[:, 0])
            turn = np.degrees(bearing - np.roll(bearing, 1))
            found += [abs((angle + 45) % 90 - 45) for angle in turn]
        return np.array(found) if found else np.array([math.nan])

    return measure
