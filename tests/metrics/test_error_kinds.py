""""""

import numpy as np
from pycocotools import mask as coco_mask

from rooftop.metrics.error_kinds import KINDS, sort_errors
from rooftop.metrics.objects import Found, Truth

SIZE = (60, 90)


def rle(top, left, bottom, right):
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return coco_mask.encode(mask)


def sort(said, true, crowd=None):
    truth = Truth(
        [rle(*b) for b in true], np.full(len(true), 100.0), np.array(crowd or [False] * len(true), dtype=bool)
    )
    done = sort_errors(Found([rle(*b) for b in said], np.ones(len(said))), truth)
    return [KINDS[k] for k in done.kinds], done.invented.sum(), done.fragments.sum()


LEFT, RIGHT, FAR = (0, 0, 20, 20), (0, 20, 20, 40), (40, 60, 55, 80)


def test_found_and_missed_and_invented():
    assert sort([LEFT, FAR], [LEFT, RIGHT]) == (["found", "missed"], 1, 0)


def test_ragged_is_met_but_with_another_outline():
    # d = round(0.02 * 108) = 2. Two columns off: IoU of masks 18 / 22; of bands, rows of 18 in 4, sides apart:
    # 72 / (144 + 144 - 72) = 1/3
    assert sort([(0, 2, 20, 22)], [LEFT]) == (["ragged"], 0, 0)


def test_one_prediction_over_two_roofs_merges_them():
    assert sort([(0, 0, 20, 40)], [LEFT, RIGHT]) == (["merged", "merged"], 0, 0)


def test_a_roof_with_a_neat_outline_is_found_though_it_swallows_a_small_one():
    # d = 2, and the prediction is one column wider. The bands, 148 and 144 pixels, share all but the two right
    # columns' ends: 128. IoU 128 / 164.
    assert sort([(0, 0, 20, 21)], [LEFT, (0, 20, 20, 21)]) == (["found", "merged"], 0, 0)


def test_two_predictions_on_one_roof_split_it():
    assert sort([(0, 0, 9, 20), (10, 0, 19, 20)], [LEFT]) == (["split"], 0, 0)


def test_a_crumb_beside_a_found_roof_is_a_fragment():
    assert sort([LEFT, (0, 21, 20, 22)], [(0, 0, 20, 22)])[1:] == (0, 1)


def test_what_lies_on_a_crowd_is_no_error():
    assert sort([FAR], [LEFT, FAR], crowd=[False, True]) == (["missed"], 0, 0)


def test_nothing():
    assert sort([], []) == ([], 0, 0)
    assert sort([LEFT], []) == ([], 1, 0)
    assert sort([], [LEFT]) == (["missed"], 0, 0)
