import numpy as np
from shapely import Polygon, box

from rooftop.metrics.polygon import holes, iou_matrix, pair


def test_iou_worked_by_hand():
    # 10 x 6, shifted by 2: 8 * 6 shared of 12 * 6
    overlap = iou_matrix([box(0, 0, 10, 6)], [box(2, 0, 12, 6), box(50, 0, 60, 6)])
    assert np.allclose(overlap, [[48 / 72, 0]])


def test_each_polygon_is_paired_once_with_the_best():
    true = [box(0, 0, 10, 6), box(0, 10, 10, 16)]
    said = [box(1, 0, 11, 6), box(0, 0, 10, 6), box(3, 10, 13, 16)]
    assert pair(said, true) == [(1, 0), (2, 1)]  # 7/13 is more than a half


def test_less_than_half_is_no_pair():
    assert pair([box(4, 0, 14, 6)], [box(0, 0, 10, 6)]) == []
    assert pair([], [box(0, 0, 10, 6)]) == []
    assert iou_matrix([box(0, 0, 1, 2)], []).shape == (1, 0)


def test_touching_is_no_overlap():
    assert iou_matrix([box(0, 0, 5, 6)], [box(5, 0, 9, 6)]).tolist() == [[0]]


def test_holes():
    court = Polygon(box(0, 0, 10, 8).exterior, [box(2, 2, 4, 5).exterior])
    assert [hole.area for hole in holes([court, box(20, 0, 30, 5)])] == [6]
