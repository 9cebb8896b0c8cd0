import numpy as np
import pytest
from shapely import Polygon, affinity, box

from rooftop.metrics.polygon import COLUMNS, count_polygons, polygon_scores

COURT = Polygon(box(0, 0, 20, 12).exterior, [box(5, 4, 12, 9).exterior])
SHED = box(40, 0, 50, 6)


def test_truth_against_itself_is_perfect():
    scores = polygon_scores(count_polygons([COURT, SHED], [COURT, SHED], iou=1.0))
    for name in ("c_iou", "n_ratio", "hole_f1", "count_ratio"):
        assert scores[name] == 1
    for name in ("polis", "hausdorff", "max_tangent_angle", "count_error"):
        assert scores[name] == pytest.approx(0)


def test_a_split_worked_by_hand():
    # Picture 1: the court without its hole, the shed one to the right. Truth 8 + 4 corners, prediction 4 + 4.
    one = count_polygons([box(0, 0, 20, 12), affinity.translate(SHED, 1, 0)], [COURT, SHED], iou=0.8)
    # Picture 2: two sheds invented where nothing is.
    two = count_polygons([SHED, affinity.translate(SHED, 0, 20)], [], iou=0.0)
    scores = polygon_scores(one + two)
    assert scores["c_iou"] == pytest.approx((0.8 * (1 - 4 / 20) + 0) / 2)
    assert scores["n_ratio"] == pytest.approx((8 + 8) / 12)
    # The hole's corners lie 4, 4, 3, 3 from the outer ring: 14 / (2 * 8), and 0 the other way; the shed: 1/2.
    assert scores["polis"] == pytest.approx((14 / 16 + 1 / 2) / 2)
    # Farthest from the outer ring: (12, 6) on the hole's right side, 6 from both long sides; the shed: 1.
    assert scores["hausdorff"] == pytest.approx((6 + 1) / 2)
    assert scores["hole_f1"] == 0
    assert scores["count_error"] == pytest.approx((0 + 2) / 2)
    assert scores["count_ratio"] == pytest.approx(4 / 2)


def test_nothing_has_no_outline_scores():
    scores = polygon_scores(count_polygons([], [], iou=1.0))
    assert scores["c_iou"] == scores["hole_f1"] == 1
    assert scores["count_error"] == 0
    assert np.isnan([scores[name] for name in ("n_ratio", "polis", "hausdorff", "max_tangent_angle")]).all()


def test_many_sums_are_divided_at_once():
    row = count_polygons([COURT], [COURT, SHED], iou=0.5)
    scores = polygon_scores(np.stack([row, row + row]))
    assert scores["count_ratio"].tolist() == [0.5, 0.5]
    assert row.shape == (len(COLUMNS),)
