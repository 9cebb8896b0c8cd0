import numpy as np
import pytest

from rooftop.coco import CocoObject, ReadResult
from rooftop.evaluation.instances import annotated, detected, patches, shaped
from rooftop.polygons.roofs import Shaping
from rooftop.raster.rasterise import decode, encode

HEIGHT, WIDTH = 24, 40


def box(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def drawn(ring, area=np.nan, crowd=False):
    return CocoObject(1, 1, crowd, area, [np.array(r, dtype=float).reshape(-1, 2) for r in ring], None)


def test_annotations_keep_their_area_and_get_one_where_they_have_none():
    objects = [drawn([[2, 2, 8, 2, 8, 6, 2, 6]]), drawn([[20, 2, 24, 2, 24, 4, 20, 4]], area=99.0)]
    roofs = annotated(objects, HEIGHT, WIDTH)
    assert roofs.areas.tolist() == [24, 99]
    assert [p.area for p in roofs.polygons] == [24, 8]
    assert np.array_equal(decode(roofs.rles[:1], HEIGHT, WIDTH), box(2, 2, 8, 6))


def test_several_rings_are_one_object_with_several_outlines():
    roofs = annotated([drawn([[2, 2, 8, 2, 8, 6, 2, 6], [12, 2, 16, 2, 16, 6, 12, 6]])], HEIGHT, WIDTH)
    assert np.array_equal(decode(roofs.rles, HEIGHT, WIDTH), box(2, 2, 8, 6) | box(12, 2, 16, 6))
    assert (len(roofs.rles), len(roofs.polygons)) == (1, 2)


def test_a_crowd_has_no_outline():
    roofs = annotated([drawn([[2, 2, 8, 2, 8, 6, 2, 6]], crowd=True)], HEIGHT, WIDTH)
    assert roofs.crowd.tolist() == [True]
    assert roofs.polygons == []


def test_a_ring_that_crosses_itself_is_mended():
    roofs = annotated([drawn([[2, 2, 10, 10, 10, 2, 2, 10]])], HEIGHT, WIDTH)
    assert len(roofs.polygons) == 2
    assert all(polygon.is_valid for polygon in roofs.polygons)


def test_run_lengths_keep_their_holes():
    court = box(4, 4, 20, 16) - box(8, 8, 12, 12)
    roofs = annotated([CocoObject(1, 1, False, np.nan, None, encode(court))], HEIGHT, WIDTH)
    assert [len(p.interiors) for p in roofs.polygons] == [1]


def test_patches_touch_at_corners_only():
    mask = box(2, 2, 6, 6) | box(6, 6, 9, 9)
    roofs = patches(mask)
    assert roofs.areas.tolist() == [16, 9]
    assert np.array_equal(decode(roofs.rles, HEIGHT, WIDTH), mask)
    assert [p.area for p in roofs.polygons] == [16, 9]


def found(probability, **changes):
    shaping = {"separate": None, "tolerance": 0.0, "angle": None, "shift": 0.0, "min_area": 0.0, "min_hole": 0.0}
    return shaped(probability, ["roof"], threshold=0.5, shaping=Shaping(**(shaping | changes)), gsd=None)


def test_found_roofs_score_by_their_mean_probability():
    probability = np.where(box(2, 2, 6, 6), np.where(box(2, 2, 4, 6), 0.6, 0.8), 0.1).astype(np.float32)
    (roofs,) = found(probability[None])
    assert roofs.scores == pytest.approx([0.7], abs=0.005)  # stored in steps of half a percent
    assert np.array_equal(decode(roofs.rles, HEIGHT, WIDTH), box(2, 2, 6, 6))


def test_found_roofs_are_shaped_as_prediction_shapes_them():
    mask = box(2, 4, 14, 16) | box(14, 9, 16, 11) | box(16, 4, 28, 16) | box(34, 2, 36, 4)
    probability = mask.astype(np.float32)[None]
    assert [len(each.rles) for each in found(probability)] == [2]
    assert [len(each.rles) for each in found(probability, separate=0.8)] == [3]
    assert [len(each.rles) for each in found(probability, separate=0.8, min_area=5)] == [2]


def test_categories_are_found_apart():
    probability = np.stack([box(2, 2, 6, 6), box(10, 2, 20, 8)]).astype(np.float32)
    assert [roofs.areas.tolist() for roofs in found(probability)] == [[16], [60]]


def test_nothing_has_no_roofs():
    roofs = patches(box(0, 0, 0, 0))
    assert (roofs.rles, roofs.scores.tolist(), roofs.polygons) == ([], [], [])
    assert annotated([], HEIGHT, WIDTH).areas.tolist() == []


def test_results_become_roofs():
    mask = encode(box(2, 2, 8, 6))
    drawn_by_hand = ReadResult(1, 1, 0.5, mask, rings=[np.array([[2.2, 2], [8, 2], [8, 6], [2.2, 6]])])
    roofs = detected([ReadResult(1, 1, 0.5, mask), drawn_by_hand])
    assert (roofs.areas.tolist(), roofs.scores.tolist()) == ([24, 24], [0.5, 0.5])
    assert [p.area for p in roofs.polygons] == pytest.approx([24, 5.8 * 4])
