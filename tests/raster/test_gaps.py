import numpy as np
from scipy import ndimage
from shapely import box

from rooftop.raster.gaps import gaps
from rooftop.raster.rasterise import number, rasterise


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
