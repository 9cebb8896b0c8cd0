import numpy as np
import pytest
import rasterio
from rasterio import Affine

UTM45 = "EPSG:32645"
AFFINE = Affine(0.3, 0, 400_000, 0, -0.3, 3_060_000)


@pytest.fixture
def geotiff(tmp_path):
    """Write an array (K, H, W) as GeoTIFF; returns its path."""

    def write(values, *, name="scene.tif", colours=None, mask=None, palette=None, **profile):
        path = tmp_path / name
        count, height, width = values.shape
        wanted = {"crs": UTM45, "transform": AFFINE, "dtype": values.dtype} | profile
        with rasterio.open(path, "w", driver="GTiff", count=count, height=height, width=width, **wanted) as d:
            if colours:
                d.colorinterp = colours
            if palette:
                d.write_colormap(1, palette)
            d.write(values)
            if mask is not None:
                d.write_mask(mask)
        return str(path)

    return write


@pytest.fixture
def rgb():
    """Values 1 to 255, uint8 (3, 37, 53)."""
    return np.random.default_rng(0).integers(1, 256, (3, 37, 53), dtype=np.uint8)
