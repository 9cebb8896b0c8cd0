import numpy as np
import pytest
from pycocotools import mask as coco_mask

from rooftop.metrics.objects import (
    Found,
    Truth,
    average,
    mask_areas,
    match,
    object_counts,
    object_scores,
    precision_curve,
    ranking,
)
from rooftop.metrics.pixel import scores

SIZE = (40, 60)


def rle(top, left, bottom, right):
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return coco_mask.encode(mask)


def truth(*boxes, crowd=None):
    rles = [rle(*box) for box in boxes]
    return Truth(rles, mask_areas(rles), np.array(crowd or [False] * len(boxes), dtype=bool))


def found(*scored):
    return Found([rle(*box) for box, _ in scored], np.array([s for _, s in scored], dtype=float))


ROOF, OTHER, FAR = (0, 0, 10, 10), (0, 30, 10, 40), (30, 30, 38, 38)


def matched(said, true):
    return match(said, true, max_dets=100)


def test_average_precision_worked_by_hand():
    # Two roofs; three predictions, by falling score: right, invented, right. At IoU 0.5 recall 1/2 is reached
    # at precision 1/1, recall 1 at 2/3. The levels of recall 0, .01 ... .50, which are 51, get 1; 50 get 2/3.
    part = matched(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    ap, ar = average([ranking([part])], "all", [0], max_dets=100)
    assert ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert ar == 1


def test_the_curve_that_average_precision_averages():
    part = matched(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    curve = precision_curve(ranking([part]), 0, max_dets=100)
    assert curve.tolist() == pytest.approx([1] * 51 + [2 / 3] * 50)
    assert precision_curve(ranking([part]), 0, max_dets=1).tolist() == pytest.approx([1] * 51 + [0] * 50)


def test_only_the_surest_count_towards_max_dets():
    part = matched(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    assert average([ranking([part])], "all", [0], max_dets=2)[1] == 0.5
    cut = match(found((ROOF, 0.9), (OTHER, 0.7)), truth(ROOF, OTHER), max_dets=1)
    assert cut.scores.tolist() == [0.9]


def test_two_predictions_of_one_roof_are_one_hit_and_one_invented():
    part = matched(found((ROOF, 0.9), (ROOF, 0.8)), truth(ROOF))
    assert [n.tolist() for n in _tuple(object_counts([part]))] == [[1], [1], [0], [0]]


def test_a_crowd_takes_any_number_of_predictions_and_none_counts():
    part = matched(found((ROOF, 0.9), (ROOF, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER, crowd=[True, False]))
    assert [n.tolist() for n in _tuple(object_counts([part]))] == [[1], [0], [0], [0]]
    assert object_scores([ranking([part])], max_dets=100)["ap"] == pytest.approx(1)


def test_of_two_roofs_overlapped_equally_the_last_is_taken():
    # 7 / 13 with either; the second prediction is the left roof itself and overlaps the right one by 4 / 16
    left, right, between = (0, 0, 10, 10), (0, 6, 10, 16), (0, 3, 10, 13)
    said = found((between, 0.9), (left, 0.8))
    assert matched(said, truth(left, right)).hit[0].tolist() == [True, True]
    assert matched(said, truth(right, left)).hit[0].tolist() == [True, False]


def test_pictures_without_objects_count():
    empty, invented = matched(found(), truth()), matched(found((FAR, 0.95)), truth())
    right = matched(found((ROOF, 0.9)), truth(ROOF))
    assert object_scores([ranking([right, empty])], max_dets=100)["ap"] == pytest.approx(1)
    assert object_scores([ranking([right, invented])], max_dets=100)["ap"] == pytest.approx(0.5)


def test_spacenet_f1_worked_by_hand():
    # One hit, one invented, one missed: F1 = 2 * 1 / (2 * 1 + 1 + 1)
    part = matched(found((ROOF, 0.9), (FAR, 0.8)), truth(ROOF, OTHER))
    missed = matched(found(), truth(ROOF))
    assert scores(object_counts([part]))["f1"] == 0.5
    assert scores(object_counts([part, missed]))["f1"] == 2 / 5


def test_more_objects_than_a_byte_can_count():
    part = match(found(*[(ROOF, 0.5)] * 300), truth(*[OTHER] * 300), max_dets=1000)
    assert part.hit.shape == (40, 300)
    assert part.positives[0] == 300


def test_no_truth_has_no_average():
    scored = object_scores([ranking([matched(found((FAR, 0.95)), truth())])], max_dets=100)
    assert np.isnan(list(scored.values())).all()
    assert np.isnan(object_scores([ranking([])], max_dets=100)["ap"])


def test_the_boundary_lowers_the_overlap():
    # d = round(0.02 * 72.1) = 1; one column off: IoU of masks 90 / 110, of bands 18 / 54 (see test_boundary)
    shifted = found(((0, 1, 10, 11), 0.9))
    assert matched(shifted, truth((0, 0, 10, 10))).hit[0].tolist() == [True]
    assert match(shifted, truth((0, 0, 10, 10)), max_dets=1, boundary=True).hit[0].tolist() == [False]


def _tuple(counts):
    return counts.tp, counts.fp, counts.fn, counts.tn
