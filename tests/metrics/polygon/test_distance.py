import pytest
from shapely import Polygon, box

from rooftop.metrics.polygon import complexity_iou, corners, hausdorff, polis

ROOF = box(0, 0, 10, 6)
COURTYARD = Polygon(ROOF.exterior, [box(2, 2, 4, 4).exterior])


def test_polis_worked_by_hand():
    # The same roof one pixel to the right. Left corners (0, 0) and (0, 6) lie 1 from its outline, right corners
    # (10, 0) and (10, 6) on it: (1 + 1 + 0 + 0) / (2 * 4) = 1/4. The way back gives 1/4 too. Together 1/2.
    assert polis(ROOF, box(1, 0, 11, 6)) == pytest.approx(0.5)


def test_polis_with_another_number_of_corners_worked_by_hand():
    # A gable of 2 px. All 4 corners of the box lie on its outline: 0 / (2 * 4). Of its 5 corners one lies 2 from
    # the box: 2 / (2 * 5) = 1/5.
    gable = Polygon([(0, 0), (10, 0), (10, 6), (5, 8), (0, 6)])
    assert polis(ROOF, gable) == polis(gable, ROOF) == pytest.approx(0.2)


def test_polis_sees_holes():
    # The roof's 4 corners lie on the courtyard roof's outer ring. Of its 8 corners, 4 are the hole's: (2, 2) and
    # (4, 2) lie 2 from the roof's outline, (2, 4) lies 2 as well (left and top), (4, 4) lies 2 (top).
    assert polis(ROOF, COURTYARD) == pytest.approx(4 * 2 / (2 * 8))


def test_a_corner_is_counted_once_and_holes_have_corners():
    assert corners([ROOF]) == 4
    assert corners([ROOF, COURTYARD]) == 4 + 8
    assert corners([]) == 0


def test_hausdorff_worked_by_hand():
    assert hausdorff(ROOF, box(1, 0, 11, 6)) == pytest.approx(1)
    # A notch down to (5, 3), which lies 3 from both long sides, while (5, 0) lies only 15 / sqrt(34) = 2.6 from it.
    notched = Polygon([(0, 0), (5, 3), (10, 0), (10, 6), (0, 6)])
    assert hausdorff(ROOF, notched) == hausdorff(notched, ROOF) == pytest.approx(3)
    # The hole's right side is farthest from the outer ring at (4, 3), between its corners: 3 from both long sides.
    assert hausdorff(ROOF, COURTYARD) == pytest.approx(3)


def test_c_iou_worked_by_hand():
    # 4 corners instead of 6: 0.8 * (1 - 2 / 10)
    assert complexity_iou(0.8, 4, 6) == pytest.approx(0.64)
    assert complexity_iou(0.8, 5, 5) == 0.8
    assert complexity_iou(1.0, 0, 0) == 1.0
    assert complexity_iou(0.0, 4, 0) == 0.0
