""""""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rooftop.polygons.tiled import components
from rooftop.raster.polygonise import polygonise

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=17), elements=st.integers(0, 1))


def joined(mask, tile):
    return [*components(*mask.shape, lambda window: mask[window.slices], tile=tile)]


def same(found, expected):
    return sorted(polygon.wkb for polygon in found) == sorted(polygon.wkb for polygon in expected)


@settings(max_examples=150)
@given(masks, st.integers(1, 7))
def test_tiles_give_the_polygons_of_the_whole_mask(mask, tile):
    found = joined(mask, tile)
    assert same(found, polygonise(mask))
    assert all(polygon.is_valid for polygon in found)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.75])
def test_large_random_masks(share):
    mask = (np.random.default_rng(0).random((230, 310)) < share).astype(np.uint8)
    assert same(joined(mask, 37), polygonise(mask))


def test_a_spiral_through_all_tiles_is_one_polygon():
    mask = np.zeros((41, 61), np.uint8)
    mask[::4], mask[:, -1], mask[2::8, 0], mask[:, 0] = 1, 0, 1, 0
    for i, row in enumerate(range(0, 40, 4)):
        mask[row : row + 5, -1 if i % 2 else 0] = 1
    assert len(polygonise(mask)) == 1
    assert same(joined(mask, 8), polygonise(mask))


def test_a_ring_around_a_tile_keeps_its_courtyard():
    mask = np.ones((24, 40), np.uint8)
    mask[7:17, 7:33] = 0
    (polygon,) = joined(mask, 8)
    assert [hole.bounds for hole in polygon.interiors] == [(7, 7, 33, 17)]


def test_regions_come_as_soon_as_they_are_complete():
    mask = np.zeros((40, 9), np.uint8)
    mask[1:3, 1:5] = mask[30:, 2] = 1
    read = []
    found = components(40, 9, lambda window: read.append(window.row) or mask[window.slices], tile=10)
    next(found)
    assert read == [0]


def test_nothing():
    assert joined(np.zeros((5, 7), np.uint8), 3) == []
