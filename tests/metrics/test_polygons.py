""""""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, Polygon, affinity, box
from shapely.ops import nearest_points

from rooftop.metrics.polygons import (
    COLUMNS,
    complexity_iou,
    corners,
    count_polygons,
    hausdorff,
    holes,
    iou_matrix,
    max_tangent_angle,
    max_tangent_angles,
    pair,
    polis,
    polygon_scores,
)

ROOF = box(0, 0, 20, 12)


def by_the_book(polygon, outlines):
    """The measure of Girard et al., point by point."""
    least = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = []
        for start, end in zip(ring.coords[:-1], ring.coords[1:], strict=True):
            steps = max(1, round(np.hypot(end[0] - start[0], end[1] - start[1]) / 2))
            for k in range(steps):
                points.append(np.array(start) + (np.array(end) - np.array(start)) * k / steps)
        points.append(points[0])
        images = [np.array(nearest_points(Point(p), outlines)[1].coords[0]) for p in points]
        for k in range(len(points) - 1):
            edge, image = points[k + 1] - points[k], images[k + 1] - images[k]
            a, b = np.linalg.norm(edge), np.linalg.norm(image)
            if a * b > 0 and 1 / 2 < a / b < 2:
                least.append(min(abs(edge @ image) / (a * b), 1))
    return np.degrees(np.arccos(min(least))) if least else np.nan


def test_a_cut_corner_is_an_error_of_45_degrees():
    # The cut runs at 45 degrees to the sides of the true corner; its image lies on them, shortened by cos 45 = 0.71.
    cut = Polygon([(0, 0), (14, 0), (20, 6), (20, 12), (0, 12)])
    assert max_tangent_angle(cut, ROOF.exterior) == pytest.approx(45)


def test_truth_against_itself_has_no_error():
    assert max_tangent_angle(ROOF, ROOF.exterior) == pytest.approx(0)


def test_far_from_any_likeness_nothing_can_be_compared():
    # Seen from far away all samples of a side fall onto one corner: images without length.
    assert np.isnan(max_tangent_angle(affinity.translate(ROOF, 500, 500), ROOF.exterior))


@settings(max_examples=40)
@given(st.floats(0, 90), st.floats(-4, 4), st.floats(0.7, 1.4))
def test_the_measure_is_that_of_the_paper(turn, shift, scale):
    said = affinity.scale(affinity.rotate(affinity.translate(ROOF, shift, shift), turn), scale, scale)
    hollow = Polygon(said.exterior, [affinity.scale(said, 0.5, 0.5).exterior])
    expected = by_the_book(hollow, ROOF.exterior)
    assert max_tangent_angle(hollow, ROOF.exterior) == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_only_what_lies_on_the_truth_is_measured():
    invented = affinity.translate(ROOF, 15, 0)  # a quarter of it lies on the roof
    assert max_tangent_angles([ROOF, invented], [ROOF]) == pytest.approx([0])
    assert max_tangent_angles([], [ROOF]) == []
    assert max_tangent_angles([ROOF], []) == []


def test_holes_are_outline_of_the_truth():
    court = Polygon(ROOF.exterior, [box(5, 4, 12, 9).exterior])
    assert max_tangent_angles([court], [court]) == pytest.approx([0])
    assert shapely.union_all([court]).area == court.area


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


ROOF_DISTANCE = box(0, 0, 10, 6)
COURTYARD = Polygon(ROOF_DISTANCE.exterior, [box(2, 2, 4, 4).exterior])


def test_polis_worked_by_hand():
    # The same roof one pixel to the right. Left corners (0, 0) and (0, 6) lie 1 from its outline, right corners
    # (10, 0) and (10, 6) on it: (1 + 1 + 0 + 0) / (2 * 4) = 1/4. The way back gives 1/4 too. Together 1/2.
    assert polis(ROOF_DISTANCE, box(1, 0, 11, 6)) == pytest.approx(0.5)


def test_polis_with_another_number_of_corners_worked_by_hand():
    # A gable of 2 px. All 4 corners of the box lie on its outline: 0 / (2 * 4). Of its 5 corners one lies 2 from
    # the box: 2 / (2 * 5) = 1/5.
    gable = Polygon([(0, 0), (10, 0), (10, 6), (5, 8), (0, 6)])
    assert polis(ROOF_DISTANCE, gable) == polis(gable, ROOF_DISTANCE) == pytest.approx(0.2)


def test_polis_sees_holes():
    # The roof's 4 corners lie on the courtyard roof's outer ring. Of its 8 corners, 4 are the hole's: (2, 2) and
    # (4, 2) lie 2 from the roof's outline, (2, 4) lies 2 as well (left and top), (4, 4) lies 2 (top).
    assert polis(ROOF_DISTANCE, COURTYARD) == pytest.approx(4 * 2 / (2 * 8))


def test_a_corner_is_counted_once_and_holes_have_corners():
    assert corners([ROOF_DISTANCE]) == 4
    assert corners([ROOF_DISTANCE, COURTYARD]) == 4 + 8
    assert corners([]) == 0


def test_hausdorff_worked_by_hand():
    assert hausdorff(ROOF_DISTANCE, box(1, 0, 11, 6)) == pytest.approx(1)
    # A notch down to (5, 3), which lies 3 from both long sides, while (5, 0) lies only 15 / sqrt(34) = 2.6 from it.
    notched = Polygon([(0, 0), (5, 3), (10, 0), (10, 6), (0, 6)])
    assert hausdorff(ROOF_DISTANCE, notched) == hausdorff(notched, ROOF_DISTANCE) == pytest.approx(3)
    # The hole's right side is farthest from the outer ring at (4, 3), between its corners: 3 from both long sides.
    assert hausdorff(ROOF_DISTANCE, COURTYARD) == pytest.approx(3)


def test_c_iou_worked_by_hand():
    # 4 corners instead of 6: 0.8 * (1 - 2 / 10)
    assert complexity_iou(0.8, 4, 6) == pytest.approx(0.64)
    assert complexity_iou(0.8, 5, 5) == 0.8
    assert complexity_iou(1.0, 0, 0) == 1.0
    assert complexity_iou(0.0, 4, 0) == 0.0


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
