""""""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import CRS
from rasterio import Affine

from rooftop.raster.georeference import Georeference
from rooftop.raster.write import Sheet, write_raster

PLACE = Georeference(Affine(0.3, 0, 4e5, 0, -0.3, 3e6), CRS.from_epsg(32645).to_wkt())
VALUES = np.random.default_rng(0).integers(0, 255, (2, 700, 1100), dtype=np.uint8)


def give(tile):
    return VALUES[(slice(None), *tile.slices)]


def test_a_cog_holds_values_place_and_meaning(tmp_path):
    path = tmp_path / "probability.tif"
    write_raster(path, Sheet(700, 1100, PLACE, ("roof", "edge"), nodata=255, scale=0.005), give)
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(), VALUES)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.crs.to_epsg() == 32645
        assert dataset.transform == PLACE.affine
        assert (dataset.nodata, dataset.scales, dataset.descriptions) == (255, (0.005,) * 2, ("roof", "edge"))
        assert dataset.overviews(1)
    assert [child.name for child in tmp_path.iterdir()] == ["probability.tif"]


def test_a_png_without_place(tmp_path):
    path = tmp_path / "masks" / "scene.png"
    write_raster(path, Sheet(700, 1100, None, ("mask",)), lambda tile: give(tile)[:1])
    assert np.array_equal(Image.open(path), VALUES[0])
    assert [child.name for child in path.parent.iterdir()] == ["scene.png"]


def test_a_reader_that_fails_leaves_nothing(tmp_path):
    def fail(tile):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raster(tmp_path / "a.tif", Sheet(700, 1100, PLACE, ("roof",)), fail)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("name", "limit"), [("a.tif", 200_000), ("a.tif", 850_000), ("a.png", 200_000)])
def test_a_full_disk_is_one_sentence_and_no_file(tmp_path, name, limit):
    """The size limit of the process stands for the disk: GDAL notices either when a write falls short.

    A limit of 850,000 bytes lets the plain file pass that is written first, and stops its copy.
    """
    program = (
        "import resource, signal, numpy as np\n"
        "from pathlib import Path\n"
        "from rooftop.errors import RooftopError\n"
        "from rooftop.raster.write import Sheet, write_raster\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "noise = np.random.default_rng(0)\n"
        "give = lambda tile: noise.integers(0, 255, (1, tile.height, tile.width), dtype=np.uint8)\n"
        "try:\n"
        f"    write_raster(Path({str(tmp_path)!r}) / '{name}', Sheet(700, 1100, None, ('roof',)), give)\n"
        "except RooftopError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"{name}: cannot be written" in run.stdout
    assert run.stdout.count("\n") == 1
    assert not [*tmp_path.iterdir()]
