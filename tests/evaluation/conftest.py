"""A split of two categories with everything that is awkward: crowd, hole, no roofs, annotations without area."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rooftop.coco import Result, open_index, read_results, write_results
from rooftop.data.sources import CocoSource
from rooftop.evaluation import Decision, FileCases
from rooftop.polygons.roofs import Shaping
from rooftop.raster.rasterise import encode

HEIGHT, WIDTH = 48, 80


def box_ring(left, top, right, bottom):
    return [float(v) for v in (left, top, right, top, right, bottom, left, bottom)]


def box_mask(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


COURT = box_mask(40, 4, 70, 28) - box_mask(50, 12, 60, 20)


def annotations():
    """Picture 30: a house, a court with a hole, a crowd. Picture 10: a shed and a house. Picture 20: nothing."""
    court = encode(COURT)
    segmentations = [
        (30, 1, [box_ring(4, 4, 24, 20)], 0),
        (30, 1, {"size": [HEIGHT, WIDTH], "counts": court["counts"].decode()}, 0),
        (30, 1, [box_ring(0, 36, 80, 48)], 1),
        (10, 2, [box_ring(10, 10, 18, 18)], 0),
        (10, 1, [box_ring(30, 10, 60, 34)], 0),
    ]
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (30, 10, 20)],
        "categories": [{"id": 1, "name": "house"}, {"id": 2, "name": "shed"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": k, "segmentation": s, "iscrowd": crowd}
            for n, (i, k, s, crowd) in enumerate(segmentations, start=1)
        ],
    }


@pytest.fixture
def split(tmp_path):
    """Folder with `truth.json` and pictures."""
    (tmp_path / "truth.json").write_text(json.dumps(annotations()))
    (tmp_path / "images").mkdir()
    for i in (10, 20, 30):
        pixels = np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


@pytest.fixture
def index(split):
    return open_index(split / "truth.json", cache=split / "cache")


@pytest.fixture
def perfect(split, index):
    """The truth as results."""
    results = [
        Result(30, 1, 0.9, encode(box_mask(4, 4, 24, 20))),
        Result(30, 1, 0.8, encode(COURT)),
        Result(10, 2, 0.7, encode(box_mask(10, 10, 18, 18))),
        Result(10, 1, 0.6, encode(box_mask(30, 10, 60, 34))),
    ]
    write_results(split / "perfect.json", results)
    return FileCases(read_results(split / "perfect.json", index), index, images=split / "images")


@pytest.fixture
def poor(split, index):
    """The house two pixels off, the court filled, the shed missed, a house invented."""
    results = [
        Result(30, 1, 0.9, encode(box_mask(6, 4, 26, 20))),
        Result(30, 1, 0.8, encode(box_mask(40, 4, 70, 28))),
        Result(10, 1, 0.6, encode(box_mask(30, 10, 60, 34))),
        Result(20, 1, 0.7, encode(box_mask(5, 5, 15, 15))),
    ]
    write_results(split / "poor.json", results)
    return FileCases(read_results(split / "poor.json", index), index, images=split / "images")


class Painter:
    """Stands for a predictor: says 0.9 where the first channel of a picture is bright."""

    def __init__(self, categories):
        self.run = SimpleNamespace(card=SimpleNamespace(categories=categories, targets=["roof"]))

    def forward(self, pictures):
        bright = (pictures[..., 0] > 127).astype(np.float32)
        return np.stack([0.05 + 0.85 * bright] * len(self.run.card.categories), axis=1).astype(np.float32)


@pytest.fixture
def painter():
    return Painter


@pytest.fixture
def decision():
    """Outlines step by step, nothing dropped."""
    return Decision(0.5, Shaping(separate=None, tolerance=0.0, angle=None, shift=0.0, min_area=0.0, min_hole=0.0), None)


@pytest.fixture
def half(split, index):
    """A source of one category, and which two of its three pictures to look at."""
    return CocoSource(split / "images", index, ["house"]), np.array([1, 2])
