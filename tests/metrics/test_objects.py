"""Random pictures of random boxes: our object scores equal COCOeval's to 1e-9."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rooftop.metrics.objects import (
    AREAS,
    THRESHOLDS,
    Found,
    Truth,
    average,
    boundary_scores,
    mask_areas,
    match,
    object_counts,
    object_scores,
    overlaps,
    precision_curve,
    ranking,
)
from rooftop.metrics.pixel import scores

HEIGHT, WIDTH = 104, 130  # more than 96 squared, so that there are large objects
MAX_DETS = [1, 2, 4]


def rle(top, left, bottom, right, size=(HEIGHT, WIDTH)):
    mask = np.zeros(size, dtype=np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return coco_mask.encode(mask)


def random_box(rng):
    # Three places, small, medium and large, with loose edges: objects contest one another and repeat.
    top, left, height, width = ((0, 0, 20, 24), (10, 60, 50, 40), (0, 4, 100, 120))[rng.integers(3)]
    edges = rng.choice([0, 0, 2, 5, 9], 4)
    return rle(
        top + edges[0],
        left + edges[1],
        min(top + height + edges[2], HEIGHT),
        min(left + width + edges[3], WIDTH),
    )


def random_picture(rng):
    """Make annotations and results of one picture."""
    annotations = [{"segmentation": random_box(rng)} for _ in range(rng.integers(8))]
    for ann in annotations:
        ann["category_id"], ann["iscrowd"] = int(rng.choice([1, 1, 2])), int(rng.random() < 0.2)
        # an annotation's area need not be that of its mask
        ann["area"] = float(coco_mask.area(ann["segmentation"])) * rng.choice([1, 1, 0.5])
    results = [{"segmentation": random_box(rng)} for _ in range(rng.integers(12))]
    for result in results:
        # equal scores, within and between pictures
        result["category_id"], result["score"] = (
            int(rng.choice([1, 1, 2])),
            float(rng.choice([0.2, 0.5, 0.9])),
        )
    return annotations, results


def random_split(seed):
    rng = np.random.default_rng(seed)
    return [random_picture(rng) for _ in range(rng.integers(1, 4))]


splits = st.integers(0, 2**32 - 1).map(random_split)


def cocoeval(split, judge=COCOeval):
    """Run COCOeval on pictures with ids 7, 17, 27...; returns its precision and recall arrays."""
    truth, found = COCO(), []
    truth.dataset = {
        "images": [{"id": 7 + 10 * i, "height": HEIGHT, "width": WIDTH} for i in range(len(split))],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": [a | {"image_id": 7 + 10 * i} for i, (anns, _) in enumerate(split) for a in anns],
    }
    for number, ann in enumerate(truth.dataset["annotations"], start=1):
        ann["id"] = number
    found = [r | {"image_id": 7 + 10 * i} for i, (_, res) in enumerate(split) for r in res]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = judge(truth, truth.loadRes(found) if found else COCO(), "segm")
        evaluation.params.maxDets = MAX_DETS
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def matched(split, *, boundary=False, max_dets=MAX_DETS[-1]):
    """Match the same pictures with ours; one list of Matched a category."""
    parts = {1: [], 2: []}
    for anns, res in split:
        for category, part in parts.items():
            said = [r for r in res if r["category_id"] == category]
            true = [a for a in anns if a["category_id"] == category]
            found = Found([r["segmentation"] for r in said], np.array([r["score"] for r in said], dtype=float))
            truth = Truth(
                [a["segmentation"] for a in true],
                np.array([a["area"] for a in true], dtype=float),
                np.array([a["iscrowd"] for a in true], dtype=bool),
            )
            part.append(match(overlaps(found, truth, max_dets=max_dets), boundary=boundary))
    return list(parts.values())


def ranked(split, **options):
    return [ranking(parts) for parts in matched(split, **options)]


def mean(values):
    """Average as COCOeval summarises: -1 stands for no such truth."""
    values = values[values > -1]
    return values.mean() if values.size else np.nan


class BoundaryEval(COCOeval):
    """COCOeval with the IoU of Cheng et al.'s boundary_iou_api, written down from its definition."""

    def computeIoU(self, imgId, catId):  # noqa: N802, N803
        ious = super().computeIoU(imgId, catId)
        truth, found = self._gts[imgId, catId], self._dts[imgId, catId]
        if not truth or not found:
            return ious
        order = np.argsort([-d["score"] for d in found], kind="mergesort")[: self.params.maxDets[-1]]
        bands = [[official_band(o["segmentation"]) for o in objects] for objects in (found, truth)]
        lower = coco_mask.iou([bands[0][i] for i in order], bands[1], [0] * len(truth))
        crowd = np.array([t["iscrowd"] for t in truth], dtype=bool)
        return np.where(crowd, ious, np.minimum(ious, lower))


def official_band(box):
    mask = coco_mask.decode(box)
    distance = max(1, round(0.02 * np.sqrt(HEIGHT**2 + WIDTH**2)))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), dtype=np.uint8), iterations=distance)
    return coco_mask.encode(np.asfortranarray(mask - eroded[1:-1, 1:-1]))


def assert_equal_everywhere(rankings, precision, recall):
    """Compare each area range, threshold and maxDets; the axes are [T, R, K, A, M] and [T, K, A, M]."""
    for a, area in enumerate(AREAS):
        for t in range(len(THRESHOLDS)):
            for m, max_dets in enumerate(MAX_DETS):
                ours = average(rankings, area, [t], max_dets=max_dets)
                theirs = mean(precision[t, :, :, a, m]), mean(recall[t, :, a, m])
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=150)
@given(splits)
def test_every_average_equals_cocoeval(split):
    assert_equal_everywhere(ranked(split), *cocoeval(split))


@pytest.mark.slow
@settings(max_examples=75)
@given(splits)
def test_every_boundary_average_equals_the_official_one(split):
    assert_equal_everywhere(ranked(split, boundary=True), *cocoeval(split, BoundaryEval))


@settings(max_examples=50)
@given(splits)
def test_the_named_scores_equal_cocoeval(split):
    precision, recall = cocoeval(split)
    scores = object_scores(ranked(split), max_dets=MAX_DETS[-1])
    expected = {
        "ap": mean(precision[:, :, :, 0, 2]),
        "ap50": mean(precision[0, :, :, 0, 2]),
        "ap75": mean(precision[5, :, :, 0, 2]),
        "ap_small": mean(precision[:, :, :, 1, 2]),
        "ap_medium": mean(precision[:, :, :, 2, 2]),
        "ap_large": mean(precision[:, :, :, 3, 2]),
        "ar": mean(recall[:, :, 0, 2]),
        "ar_small": mean(recall[:, :, 1, 2]),
        "ar_medium": mean(recall[:, :, 2, 2]),
        "ar_large": mean(recall[:, :, 3, 2]),
        "crowdai_ap": mean(precision[0, :, :, 0, 2]),
        "crowdai_ar": mean(recall[0, :, 0, 2]),
    }
    assert scores == pytest.approx(expected, abs=1e-9, nan_ok=True)
    boundary = boundary_scores(ranked(split, boundary=True), max_dets=MAX_DETS[-1])
    assert boundary.keys() == {"boundary_ap", "boundary_ap50", "boundary_ap75", "boundary_ar"}


@settings(max_examples=50)
@given(splits, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_weights_count_pictures_as_often_as_they_say(split, often):
    often = often[: len(split)]
    repeated = [picture for picture, n in zip(split, often, strict=True) for _ in range(n)]
    weighted = average(ranked(split), "all", [0, 9], max_dets=4, weights=np.array(often))
    plain = average(ranked(repeated), "all", [0, 9], max_dets=4) if repeated else (np.nan, np.nan)
    # Recall is equal; precision too, unless equal scores are shuffled between pictures by repeating them.
    assert weighted[1] == pytest.approx(plain[1], nan_ok=True)
    distinct = {r["score"] for _, res in split for r in res}
    if len(distinct) == sum(len(res) for _, res in split):
        assert weighted[0] == pytest.approx(plain[0], nan_ok=True)


SIZE = (40, 60)


def box_rle(top, left, bottom, right):
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return coco_mask.encode(mask)


def truth(*boxes, crowd=None):
    rles = [box_rle(*box) for box in boxes]
    return Truth(rles, mask_areas(rles), np.array(crowd or [False] * len(boxes), dtype=bool))


def found(*scored):
    return Found([box_rle(*box) for box, _ in scored], np.array([s for _, s in scored], dtype=float))


ROOF, OTHER, FAR = (0, 0, 10, 10), (0, 30, 10, 40), (30, 30, 38, 38)


def match_boxes(said, true, *, max_dets=100, boundary=False):
    return match(overlaps(said, true, max_dets=max_dets), boundary=boundary)


def test_average_precision_worked_by_hand():
    # Two roofs; three predictions, by falling score: right, invented, right. At IoU 0.5 recall 1/2 is reached
    # at precision 1/1, recall 1 at 2/3. The levels of recall 0, .01 ... .50, which are 51, get 1; 50 get 2/3.
    part = match_boxes(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    ap, ar = average([ranking([part])], "all", [0], max_dets=100)
    assert ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert ar == 1


def test_the_curve_that_average_precision_averages():
    part = match_boxes(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    curve = precision_curve(ranking([part]), 0, max_dets=100)
    assert curve.tolist() == pytest.approx([1] * 51 + [2 / 3] * 50)
    assert precision_curve(ranking([part]), 0, max_dets=1).tolist() == pytest.approx([1] * 51 + [0] * 50)


def test_only_the_surest_count_towards_max_dets():
    part = match_boxes(found((ROOF, 0.9), (FAR, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER))
    assert average([ranking([part])], "all", [0], max_dets=2)[1] == 0.5
    cut = match_boxes(found((ROOF, 0.9), (OTHER, 0.7)), truth(ROOF, OTHER), max_dets=1)
    assert cut.scores.tolist() == [0.9]


def test_two_predictions_of_one_roof_are_one_hit_and_one_invented():
    part = match_boxes(found((ROOF, 0.9), (ROOF, 0.8)), truth(ROOF))
    assert [n.tolist() for n in _tuple(object_counts([part]))] == [[1], [1], [0], [0]]


def test_a_crowd_takes_any_number_of_predictions_and_none_counts():
    part = match_boxes(found((ROOF, 0.9), (ROOF, 0.8), (OTHER, 0.7)), truth(ROOF, OTHER, crowd=[True, False]))
    assert [n.tolist() for n in _tuple(object_counts([part]))] == [[1], [0], [0], [0]]
    assert object_scores([ranking([part])], max_dets=100)["ap"] == pytest.approx(1)


def test_of_two_roofs_overlapped_equally_the_last_is_taken():
    # 7 / 13 with either; the second prediction is the left roof itself and overlaps the right one by 4 / 16
    left, right, between = (0, 0, 10, 10), (0, 6, 10, 16), (0, 3, 10, 13)
    said = found((between, 0.9), (left, 0.8))
    assert match_boxes(said, truth(left, right)).hit[0].tolist() == [True, True]
    assert match_boxes(said, truth(right, left)).hit[0].tolist() == [True, False]


def test_pictures_without_objects_count():
    empty, invented = match_boxes(found(), truth()), match_boxes(found((FAR, 0.95)), truth())
    right = match_boxes(found((ROOF, 0.9)), truth(ROOF))
    assert object_scores([ranking([right, empty])], max_dets=100)["ap"] == pytest.approx(1)
    assert object_scores([ranking([right, invented])], max_dets=100)["ap"] == pytest.approx(0.5)


def test_spacenet_f1_worked_by_hand():
    # One hit, one invented, one missed: F1 = 2 * 1 / (2 * 1 + 1 + 1)
    part = match_boxes(found((ROOF, 0.9), (FAR, 0.8)), truth(ROOF, OTHER))
    missed = match_boxes(found(), truth(ROOF))
    assert scores(object_counts([part]))["f1"] == 0.5
    assert scores(object_counts([part, missed]))["f1"] == 2 / 5


def test_more_objects_than_a_byte_can_count():
    part = match_boxes(found(*[(ROOF, 0.5)] * 300), truth(*[OTHER] * 300), max_dets=1000)
    assert part.hit.shape == (40, 300)
    assert part.positives[0] == 300


def test_no_truth_has_no_average():
    scored = object_scores([ranking([match_boxes(found((FAR, 0.95)), truth())])], max_dets=100)
    assert np.isnan(list(scored.values())).all()
    assert np.isnan(object_scores([ranking([])], max_dets=100)["ap"])


def test_the_boundary_lowers_the_overlap():
    # d = round(0.02 * 72.1) = 1; one column off: IoU of masks 90 / 110, of bands 18 / 54 (see test_boundary)
    shifted = found(((0, 1, 10, 11), 0.9))
    assert match_boxes(shifted, truth((0, 0, 10, 10))).hit[0].tolist() == [True]
    assert match_boxes(shifted, truth((0, 0, 10, 10)), max_dets=1, boundary=True).hit[0].tolist() == [False]


def _tuple(counts):
    return counts.tp, counts.fp, counts.fn, counts.tn
