""""""

import numpy as np
import pytest
from scipy import ndimage
from shapely import Polygon, box

from rooftop.raster.rasterise import number, rasterise
from rooftop.raster.targets import ROOF, TARGETS, gaps


def test_touching_roofs_come_apart_and_lonely_ones_stay_whole():
    roofs = [box(2, 2, 10, 9), box(10, 2, 18, 9), box(2, 9, 18, 14), box(22, 3, 27, 12)]
    mask = rasterise(roofs, 16, 30)
    seam = gaps(number(roofs, 16, 30))
    assert ndimage.label(mask)[1] == 2
    assert ndimage.label(mask * ~seam)[1] == 4
    assert not seam[:, 20:].any()
    assert seam.sum() <= 7 + 16


def test_no_roof_no_gap():
    assert gaps(number([], 5, 7)).shape == (5, 7)
    assert not np.any(gaps(number([box(0, 0, 3, 3)], 5, 7)))


def pattern(*rows):
    return np.array([[int(cell) for cell in row] for row in rows], np.int32)


@pytest.fixture
def roofs():
    """A roof of 5 x 5 px and one of 3 x 4 that share a wall, on 7 x 12 px."""
    return number([box(1, 1, 6, 6), box(6, 2, 10, 5)], 7, 12)


def test_roofs_are_numbered_and_later_ones_lie_on_top(roofs):
    assert roofs.dtype == np.int32
    assert np.array_equal(
        roofs,
        pattern(
            "000000000000",
            "011111000000",
            "011111222200",
            "011111222200",
            "011111222200",
            "011111000000",
            "000000000000",
        ),
    )
    assert number([box(1, 1, 4, 4), box(2, 2, 9, 3)], 7, 12)[2, 3] == 2
    assert not number([], 7, 12).any()


def test_numbers_are_drawn_by_the_rasteriser():
    ring = np.array([[3.3, 1.2], [10.7, 2.9], [6.1, 8.4]])
    yard = Polygon(box(12, 1, 20, 9).exterior, [box(14, 3, 17, 6).exterior])
    shapes = [Polygon(ring), yard, box(40, 40, 50, 50)]
    numbers = number(shapes, 11, 23)
    assert set(np.unique(numbers)) == {0, 1, 2}
    for n, shape in enumerate(shapes, start=1):
        assert np.array_equal(numbers == n, rasterise([shape], 11, 23) > 0)


def test_edges_run_along_outlines_and_on_both_sides_of_a_shared_wall(roofs):
    assert np.array_equal(
        TARGETS["edge"](roofs),
        pattern(
            "111111100000",
            "111111111110",
            "110001111110",
            "110001100110",
            "110001111110",
            "111111111110",
            "111111100000",
        ),
    )


def test_cores_are_the_deeper_half_of_each_roof(roofs):
    assert np.array_equal(
        TARGETS["core"](roofs),
        pattern(
            "000000000000",
            "000000000000",
            "001110222200",
            "001110222200",
            "001110222200",
            "000000000000",
            "000000000000",
        )
        > 0,
    )


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_masks(name, roofs):
    for numbers in (roofs, np.zeros((5, 9), np.int32), np.ones((5, 9), np.int32)):
        target = TARGETS[name](numbers)
        assert (target.dtype, target.shape) == (np.uint8, numbers.shape)
        assert target.max() <= 1
        if name == ROOF:
            assert np.array_equal(target, numbers > 0)


def test_a_roof_under_another_one_has_no_core():
    numbers = number([box(3, 3, 5, 5), box(1, 1, 8, 6)], 9, 12)
    assert set(np.unique(numbers)) == {0, 2}
    assert TARGETS["core"](numbers).sum() == 5 * 3
