"""Footprints of a layer in the pixel frame of a raster."""

import pyogrio.raw
import shapely

from rooftop.raster.georeference import Georeference
from rooftop.vector.footprints import read_footprints
from rooftop.vector.layers import open_layer

PLACE = Georeference.north_up(32645, (300_000, 3_100_000), 0.5)
BOW = "POLYGON ((300000 3099990, 300010 3100000, 300010 3099990, 300000 3100000, 300000 3099990))"
TWO = "MULTIPOLYGON (((300020 3099990, 300024 3099990, 300024 3099994, 300020 3099990)), \
((300030 3099990, 300034 3099990, 300034 3099994, 300030 3099990)))"
FAR = "POLYGON ((300500 3099990, 300510 3099990, 300510 3099980, 300500 3099990))"


def test_each_footprint_has_the_name_of_its_feature_and_repairs_are_named(tmp_path):
    path = tmp_path / "roofs.gpkg"
    wkb = shapely.to_wkb(shapely.from_wkt([FAR, BOW, TWO]))
    common = {"geometry_type": "Unknown", "crs": "EPSG:32645", "driver": "GPKG"}
    pyogrio.raw.write(path, wkb, [], [], **common)
    (found,) = read_footprints(open_layer(path), PLACE, (80, 100))
    assert found.names == [2, 2, 3, 3]
    assert found.repaired == {2}
    # metres to pixels of half a metre: the bow becomes two triangles of 10 x 5 m, each part of the other one 4 x 4 / 2
    assert shapely.area(found.polygons).tolist() == [100, 100, 32, 32]
