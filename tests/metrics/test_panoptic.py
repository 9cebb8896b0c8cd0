"""Panoptic quality against panopticapi's rules on label maps, and worked by hand."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from rooftop.metrics.objects import Found, Truth, mask_areas, overlaps
from rooftop.metrics.panoptic import count_panoptic, panoptic_each, panoptic_scores

HEIGHT, WIDTH = 40, 60


def rle(mask):
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def box(top, left, bottom, right):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def counted(found, true, crowds=()):
    rles = [rle(mask) for mask in (*true, *crowds)]
    truth = Truth(rles, mask_areas(rles), np.array([False] * len(true) + [True] * len(crowds), dtype=bool))
    said = Found([rle(mask) for mask in found], np.linspace(1, 0.5, len(found)))
    return count_panoptic(overlaps(said, truth, max_dets=100))


def by_definition(found, true, crowd):
    """Sum up label maps, int (H, W), 0 = no roof, as panopticapi's `pq_compute_single_core` does for one category."""
    matched_found, matched_true, iou_sum = set(), set(), 0.0
    for g in np.unique(true[true > 0]):
        for d in np.unique(found[found > 0]):
            both = np.sum((true == g) & (found == d))
            iou = both / (np.sum(true == g) + np.sum(found == d) - both)
            if iou > 0.5:
                iou_sum += iou
                matched_found.add(d)
                matched_true.add(g)
    missed = {*np.unique(true[true > 0])} - matched_true
    free = {*np.unique(found[found > 0])} - matched_found
    invented = [d for d in free if np.sum((found == d) & crowd) / np.sum(found == d) <= 0.5]
    return [iou_sum, len(matched_true), len(invented), len(missed)]


def labels(rng, number):
    """Boxes that cut into one another, so that no two share a pixel."""
    drawn = np.zeros((HEIGHT, WIDTH), dtype=int)
    for label in range(1, number + 1):
        top, left = rng.integers(0, HEIGHT - 12), rng.integers(0, WIDTH - 12)
        drawn[top : top + rng.integers(4, 14), left : left + rng.integers(4, 14)] = label
    return drawn


def test_random_label_maps_are_counted_as_panopticapi_does():
    rng = np.random.default_rng(0)
    for _ in range(40):
        true = labels(rng, rng.integers(0, 7))
        crowd = (labels(rng, rng.integers(0, 3)) > 0) & (true == 0)
        found = np.roll(true, rng.integers(-2, 3, 2), (0, 1)) * (rng.random() < 0.8)
        found = np.where(found > 0, found, labels(rng, 2) * 10)
        masks = ([each == i for i in np.unique(each) if i > 0] for each in (found, true))
        crowds = [crowd] if crowd.any() else []
        assert counted(*masks, crowds).tolist() == pytest.approx(by_definition(found, true, crowd))


ROOF, OTHER = box(0, 0, 10, 10), box(0, 30, 10, 40)


def test_panoptic_quality_worked_by_hand():
    # one roof whole, of the other 8 of 10 columns; one invented, none missed: SQ 1.8 / 2, RQ 2 / (2 + 1 / 2)
    row = counted([ROOF, box(0, 32, 10, 40), box(30, 30, 38, 38)], [ROOF, OTHER])
    assert row.tolist() == [1.8, 2, 1, 0]
    assert panoptic_each(row) == {"pq": 1.8 / 2.5, "sq": 0.9, "rq": 0.8}


def test_half_is_no_match():
    assert counted([box(0, 0, 10, 5)], [ROOF]).tolist() == [0, 0, 1, 1]
    assert panoptic_each(counted([box(0, 0, 10, 5)], [ROOF])) == {"pq": 0, "sq": 0, "rq": 0}


def test_of_overlapping_predictions_the_best_has_the_roof():
    # the surest covers 6 of 10 columns, the next one 9: the roof is matched once, with IoU 0.9
    assert counted([box(0, 0, 10, 6), box(0, 0, 10, 9)], [ROOF]).tolist() == [0.9, 1, 1, 0]
    assert counted([ROOF], [box(0, 0, 10, 6), box(0, 0, 10, 9)]).tolist() == [0.9, 1, 0, 1]


def test_only_predictions_mostly_on_crowds_do_not_count():
    crowds = [box(20, 0, 30, 4), box(20, 5, 30, 20)]
    whole, exactly_half, on_both = box(20, 5, 30, 15), box(20, 15, 30, 25), box(20, 2, 30, 7)
    assert counted([whole, on_both], [ROOF], crowds).tolist() == [
        0,
        0,
        0,
        1,
    ]  # 4 of 5 columns on one crowd or the other
    assert counted([exactly_half], [ROOF], crowds).tolist() == [0, 0, 1, 1]
    assert counted([ROOF], [ROOF], [ROOF]).tolist() == [1, 1, 0, 0]  # a match counts on a crowd, too


def test_categories_weigh_alike_and_an_empty_one_nothing():
    right, wrong, empty = counted([ROOF, OTHER], [ROOF, OTHER]), counted([], [ROOF]), counted([], [])
    assert empty.tolist() == [0, 0, 0, 0]
    assert panoptic_scores(np.array([right, wrong, empty])) == {"pq": 0.5, "sq": 0.5, "rq": 0.5}
    assert np.isnan(panoptic_scores(np.array([empty, empty]))["pq"])
    draws = panoptic_scores(np.array([[right, wrong], [empty, empty], [right, empty]]))
    np.testing.assert_equal(draws["pq"], [0.5, np.nan, 1])
