"""The rasteriser is pycocotools', and unions, holes and inverses are as they should."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco
from shapely import Polygon, box

from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import decode, encode, polygon_run, rasterise

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


masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1))


@settings(max_examples=200)
@given(masks)
def test_the_same_run_lengths_as_of_the_whole_picture(mask):
    for polygon in polygonise(mask):
        assert polygon_run(polygon, *mask.shape) == encode(rasterise([polygon], *mask.shape))


@pytest.mark.parametrize("polygon", [box(-3, -2, 5, 4), box(8.4, 3.2, 30, 30), Polygon([(1.3, 2), (9, 4.7), (3, 6)])])
def test_oblique_and_overhanging(polygon):
    assert polygon_run(polygon, 9, 13) == encode(rasterise([polygon], 9, 13))


def test_a_roof_in_a_picture_that_is_never_drawn():
    run = polygon_run(box(50_000, 60_000, 50_004, 60_003), 65_000, 66_000)
    assert coco.area(run) == 12
    assert coco.toBbox(run).tolist() == [50_000, 60_000, 4, 3]
