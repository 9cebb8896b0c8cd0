"""The rasteriser is pycocotools', and unions, holes and inverses are as they should."""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco
from shapely.geometry import Polygon, box

from rooftop.raster.rasterise import decode, encode, rasterise

HEIGHT, WIDTH = 48, 80


@dataclass
class Shape:
    rings: list[np.ndarray] | None = None
    rle: dict | None = None


def drawn(*rings):
    """What pycocotools alone makes of flat rings."""
    runs = coco.frPyObjects([list(map(float, ring)) for ring in rings], HEIGHT, WIDTH)
    return coco.decode(coco.merge(runs))


def test_nothing_is_an_empty_mask():
    mask = rasterise([], HEIGHT, WIDTH)
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask.dtype == np.uint8
    assert not mask.any()


def test_rings_and_run_lengths_are_united_as_pycocotools_does():
    first, second = [3, 4, 30, 5, 20, 40], [50.5, 10, 70, 10, 70, 30.25, 50, 30]
    other = np.zeros((HEIGHT, WIDTH), np.uint8)
    other[44:, :7] = 1
    shapes = [
        Shape([np.reshape(first, (-1, 2)).astype(float)]),
        Shape([np.reshape(second, (-1, 2))]),
        Shape(None, encode(other)),
    ]
    mask = rasterise(shapes, HEIGHT, WIDTH)
    assert np.array_equal(mask, drawn(first, second) | other)
    assert mask.flags.c_contiguous


def test_a_polygon_is_its_exterior_minus_its_interiors():
    outer, inner = box(2, 3, 60, 40), box(10, 10, 30, 20)
    mask = rasterise([Polygon(outer.exterior, [inner.exterior])], HEIGHT, WIDTH)
    assert np.array_equal(mask, drawn([2, 3, 60, 3, 60, 40, 2, 40]) & (1 - drawn([10, 10, 30, 10, 30, 20, 10, 20])))
    assert mask[15, 20] == 0
    assert mask[15, 5] == 1


def test_a_building_inside_the_court_of_another_stays():
    court = Polygon(box(2, 3, 60, 40).exterior, [box(10, 10, 30, 20).exterior])
    mask = rasterise([court, box(15, 12, 25, 18)], HEIGHT, WIDTH)
    assert mask[15, 20] == 1
    assert mask[11, 11] == 0


def test_an_empty_polygon_draws_nothing():
    assert not rasterise([Polygon()], HEIGHT, WIDTH).any()


def test_encode_and_decode_are_inverse():
    mask = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    assert np.array_equal(decode([encode(mask)], HEIGHT, WIDTH), mask)
