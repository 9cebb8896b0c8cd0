""""""

import numpy as np
import pytest
from shapely import Polygon, box

from rooftop.metrics.polygons import max_tangent_angles, polis
from rooftop.metrics.published import ffl_angles, hisup_complexity_iou, hisup_polis

ROOF, SHIFTED = box(0, 0, 10, 6), box(1, 0, 11, 6)


def test_hisup_divides_by_five_where_there_are_four_corners():
    # (1 + 1 + 0 + 0) / (2 * 5), both ways: 0.4 instead of 0.5
    assert polis(ROOF, SHIFTED) == pytest.approx(0.5)
    assert hisup_polis([SHIFTED], [ROOF]) == pytest.approx(0.4)


def test_hisup_pairs_by_boxes():
    # A triangle has half of the roof's area (IoU 1/2 at best), but its box is the roof's.
    triangle = Polygon([(0, 0), (10, 0), (0, 6)])
    # Of its corners all lie on the roof; of the roof's, (10, 6) lies 60 / sqrt(136) from the long side.
    assert hisup_polis([triangle], [ROOF]) == pytest.approx(60 / 136**0.5 / (2 * 5))


def test_hisup_lets_one_prediction_stand_for_two():
    true = [ROOF, box(0, 0, 10, 5)]
    # from (0, 5) and (10, 5) the roof's sides are 0 away; from the roof's (0, 6) and (10, 6) it is 1
    assert hisup_polis([ROOF], true) == pytest.approx((0 + 2 / 10) / 2)


def test_hisup_skips_pictures_without_partners():
    assert hisup_polis([], [ROOF]) == 0
    assert hisup_polis([box(50, 50, 60, 56)], [ROOF]) == 0


def test_hisup_c_iou_looks_at_outer_rings_and_skips_pictures_without_predictions():
    court = Polygon(box(0, 0, 10, 8).exterior, [box(2, 2, 4, 5).exterior])
    assert hisup_complexity_iou([box(0, 0, 10, 8)], [court], iou=0.9) == 0.9
    assert np.isnan(hisup_complexity_iou([], [court], iou=0.0))


def test_ffl_melts_touching_roofs():
    # Two halves of one roof, the wall between them off by 2: measured apart, each has one angle; melted, there is one.
    halves = [box(0, 0, 10, 12), box(10, 0, 24, 12)]
    true = [box(0, 0, 12, 12), box(12, 0, 24, 12)]
    assert len(max_tangent_angles(halves, true)) == 2
    assert ffl_angles(halves, true) == pytest.approx([0], abs=0.1)
