from pathlib import Path

import numpy as np
import pytest
import rasterio

from rooftop.raster.slippy import tile_georeference, tile_of

BANEPA = Path(__file__).parents[2] / "data" / "banepa"


@pytest.mark.parametrize(
    "name", ["18_193343_110117.jpg", "18-193343-110117.png", "18/193343/110117.jpg", "z/18/193343/110117@2x.png"]
)
def test_names_and_folders_tell_the_tile(name):
    assert tile_of(Path(name)) == (18, 193343, 110117)


@pytest.mark.parametrize(
    "name",
    [
        *("10_20_30.png", "18_3_7.png", "18_193343_1.png", "18_193343_262000.png", "12_1000_1000.png"),
        *("18_193343-110117.png", "18_262144_110117.png", "a_18_193343_110117.png", "18_193343_110117_2.png"),
        *("110117.png", "193343/110117.png", "018/193343/110117.png", "30_193343_110117.png", "18_193343_.png"),
    ],
)
def test_other_numbers_are_no_tiles(name):
    """Rows and columns of a cut picture would lie near the pole."""
    assert tile_of(Path(name)) is None


def test_the_tiles_of_banepa_lie_where_their_mosaic_does():
    """test_area.tif has been made of the tiles of columns 193343 to 193348 and rows 110117 to 110122."""
    with rasterio.open(BANEPA / "test_area.tif") as mosaic:
        whole, code = mosaic.transform, mosaic.crs.to_epsg()
    for column, row in ((193343, 110117), (193348, 110122)):
        tile = tile_georeference(Path(f"18_{column}_{row}.jpg"), 256, 256)
        assert tile.name == f"EPSG:{code}"
        expected = whole * (256 * (column - 193343), 256 * (row - 110117))
        assert np.allclose(tile.affine * (0, 0), expected, atol=0.01)
        assert tile.metres_per_pixel(256, 256) == pytest.approx(0.528, abs=0.001)


def test_a_tile_of_twice_the_pixels_has_pixels_of_half_the_size():
    tile = tile_georeference(Path("18_193343_110117@2x.png"), 512, 512)
    assert tile.metres_per_pixel(512, 512) == pytest.approx(0.264, abs=0.001)
    assert tile_georeference(Path("18_193343_110117.png"), 256, 255) is None
