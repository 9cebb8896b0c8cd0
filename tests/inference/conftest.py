import json

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from torch import nn

from rooftop.inference import Job, Predictor, find_sources, predict
from rooftop.inference.distributed import Processes
from rooftop.inference.sliding_window import Tiling, predict_windows
from rooftop.inference.unfinished import Canvas
from rooftop.polygons.roofs import Shaping
from rooftop.raster.probability import STEP
from rooftop.raster.scene import open_scene
from rooftop.raster.windows import Window
from rooftop.run import Card, Run, save

SMALL = Tiling(window=32, overlap=8, batch=3)
PLACE = {"crs": "EPSG:32645", "transform": Affine(0.3, 0, 4e5, 0, -0.3, 3.06e6)}


@pytest.fixture
def raster(tmp_path):
    """Write uint8 (3, H, W) as GeoTIFF; returns its path."""

    def write(values, name="scene.tif", **profile):
        path = tmp_path / name
        count, height, width = values.shape
        shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
        with rasterio.open(path, "w", driver="GTiff", **{**shape, **PLACE, **profile}) as dataset:
            dataset.write(values)
        return str(path)

    return write


@pytest.fixture
def predicted(tmp_path):
    """Predict a raster with a stand-in network; returns the stored values (K, H, W)."""

    def run(path, forward, tiling=SMALL, bands=1, folder="canvas", rows=None):
        with open_scene(path) as scene:
            canvas = Canvas(tmp_path / folder, (bands, scene.height, scene.width), tiling.ends(scene.height))
            canvas.require_room()
            canvas.todo = canvas.todo if rows is None else rows
            predict_windows(scene, forward, canvas, tiling=tiling, progress=lambda pixels: None)
            return canvas.read(Window(0, 0, scene.width, scene.height))

    return run


@pytest.fixture
def picture():
    """Values 1 to 255, uint8 (3, 101, 147)."""
    return np.random.default_rng(0).integers(1, 256, (3, 101, 147), dtype=np.uint8)


@pytest.fixture
def town():
    """Twelve bright roofs of 10 x 15 px on dark ground, uint8 (3, 80, 110)."""
    values = np.full((3, 80, 110), 30, np.uint8)
    for top in range(5, 65, 20):
        for left in range(5, 90, 25):
            values[:, top : top + 10, left : left + 15] = 220
    return values


@pytest.fixture
def bright(tmp_path):
    """A run of one 1 x 1 convolution to which what is bright is roof, learned at 0.3 m."""
    network = nn.Conv2d(3, 1, 1)
    nn.init.constant_(network.weight, 20 / 3)
    nn.init.constant_(network.bias, -10)
    card = Card({}, {"mean": [0.0] * 3, "std": [1.0] * 3, "size": None}, ["roof"], threshold=0.5, gsd=0.3)
    save(tmp_path / "bright", network, card)
    return Predictor(Run(tmp_path / "bright", card, network.eval()), device="cpu")


@pytest.fixture
def find(tmp_path, bright):
    """Predict a source with `bright`, as predict.py does; returns the summary."""

    def run(source, out="out", predictor=bright, processes=None, **settings):
        sources = find_sources(str(source))
        shaping = Shaping(separate=None, tolerance=0.0, angle=None, shift=0.0, min_area=10.0, min_hole=0.0)
        plain = {
            "views": None,
            "gsd": None,
            "crs": None,
            "rescale": True,
            "bands": None,
            "probability": False,
            "threshold": 0.5,
        }
        about = {"folder": tmp_path / out, "unfinished": tmp_path / "unfinished", "shaping": shaping}
        job = Job(**{**plain, **about, "window": 64, "overlap": 16, "batch": 2, **settings})
        predict(predictor, sources, job, processes or Processes())
        return json.loads((tmp_path / out / "summary.json").read_text())

    return run


def _per_pixel(pictures):
    red, green, blue = np.moveaxis(pictures.astype(np.float32) / 255, -1, 0)
    return np.stack([red * 0.3 + green * 0.5 + blue * 0.2, np.sqrt(blue)], axis=1)


def _ones(pictures):
    return np.ones((len(pictures), 1, *pictures.shape[1:3]), np.float32)


def _once(forward, picture):
    whole = forward(np.moveaxis(picture, 0, -1)[None])[0]
    return np.floor(whole.astype(np.float64) / STEP + 1e-9).astype(np.uint8)


@pytest.fixture
def per_pixel():
    """A network of 1 x 1 convolutions: uint8 (B, H, W, 3) to float32 (B, 2, H, W)."""
    return _per_pixel


@pytest.fixture
def ones():
    """A network that answers 1."""
    return _ones


@pytest.fixture
def once():
    """Stored values (K, H, W) of one pass of a network over a whole picture (3, H, W)."""
    return _once
