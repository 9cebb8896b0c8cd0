"""A picture, its predicted roofs and squares, and edits as QGIS makes them: in place, by SQL."""

import sqlite3
import struct
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from shapely import box

from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof
from rooftop.raster.georeference import Georeference

CORNER, GSD = (300_000, 3_100_000), 0.5
HEIGHT, WIDTH = 96, 160
PLACE = Georeference.north_up(32645, CORNER, GSD)
ROOFS = [box(10, 10, 30, 40), box(40, 20, 80, 50), box(90, 10, 110, 30), box(120, 60, 150, 90)]
SQUARES = [box(0, 0, 60, 60), box(60, 0, 120, 60), box(100, 40, 160, 96)]


def write_raster(path: Path, *, shift=0, bands=3, dtype="uint8", known=None, crs="EPSG:32645") -> np.ndarray:
    """shift: pixels that it lies farther east. known: bool (H, W), where it has data; None: everywhere."""
    pixels = np.random.default_rng(0).integers(1, 255, (bands, HEIGHT, WIDTH)).astype(dtype)
    profile = {"driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": bands, "dtype": dtype, "crs": crs}
    affine = PLACE.affine * Affine.translation(shift, 0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", transform=affine, **profile) as file:
        file.write(pixels)
        if known is not None:
            file.write_mask(known)
    return pixels


def placed(shape):
    return shapely.transform(shape, PLACE.to_map)


def write_layer(path: Path, name: str | None, shapes, crs="EPSG:32645", **fields) -> None:
    """Write polygons of the pixel frame of the picture as a layer, beside those that the file has."""
    driver = {".gpkg": "GPKG", ".geojson": "GeoJSON"}[path.suffix]
    common = {"layer": name, "driver": driver, "crs": crs, "geometry_type": "Unknown"}
    wkb = np.array(shapely.to_wkb([placed(shape) for shape in shapes]), object)
    pyogrio.raw.write(path, wkb, [*fields.values()], [*fields], append=path.exists(), **common)


@pytest.fixture
def source(tmp_path) -> Path:
    write_raster(tmp_path / "city.tif")
    return tmp_path / "city.tif"


@pytest.fixture
def predicted(tmp_path) -> Path:
    """What predict.py writes; no square is checked."""
    folder = tmp_path / "predicted"
    folder.mkdir()
    roofs = [Roof(shape, 0, 0.9, shape.area / 4, shape.length / 2, 0.0) for shape in ROOFS]
    common = {"ground": Ground(PLACE, GSD), "categories": ["roof"]}
    write_geojson(folder / "roofs.geojson", roofs, **common)
    write_geopackage(folder / "roofs.gpkg", roofs, **common)
    ranks = np.arange(1, len(SQUARES) + 1, dtype=np.int32)
    write_layer(folder / "roofs.gpkg", "check_first", SQUARES, rank=ranks, checked=np.zeros(len(ranks), bool))
    return folder / "roofs.gpkg"


class Edit:
    """Edits of an open GeoPackage, in the pixel frame of the picture."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def add(self, shape, layer="roofs") -> None:
        self.database.execute(f"INSERT INTO {layer} (geom) VALUES (?)", (self._blob(shape),))

    def reshape(self, fid, shape) -> None:
        self.database.execute("UPDATE roofs SET geom = ? WHERE fid = ?", (self._blob(shape), fid))

    def delete(self, fid) -> None:
        self.database.execute("DELETE FROM roofs WHERE fid = ?", (fid,))

    def check(self, *fids, value=1) -> None:
        for fid in fids:
            self.database.execute("UPDATE check_first SET checked = ? WHERE fid = ?", (value, fid))

    @staticmethod
    def _blob(shape):
        return None if shape is None else b"GP\0\1" + struct.pack("<i", 32645) + shapely.to_wkb(placed_z(shape))


def placed_z(shape):
    if not shapely.has_z(shape):
        return placed(shape)
    return shapely.transform(shape, lambda at: np.column_stack([PLACE.to_map(at[:, :2]), at[:, 2]]), include_z=True)


@contextmanager
def opened(path: Path):
    """The GeoPackage as QGIS has it open: saved edits stay in the log beside the file until it is closed."""
    database = sqlite3.connect(path, isolation_level=None)
    low_high = {"ST_MinX": 0, "ST_MinY": 1, "ST_MaxX": 2, "ST_MaxY": 3}
    for name, i in low_high.items():
        database.create_function(name, 1, lambda blob, i=i: shapely.from_wkb(blob[8:]).bounds[i])
    database.create_function("ST_IsEmpty", 1, lambda blob: blob is not None and shapely.from_wkb(blob[8:]).is_empty)
    database.execute("PRAGMA journal_mode = WAL")
    try:
        yield Edit(database)
    finally:
        database.close()
