"""What cannot be drawn is left out, ring by ring, counted, and listed by id with the reason; the rest is kept."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from rooftop.coco.columns import STRAY
from tests.coco.forms import HEIGHT, SQUARE, WIDTH, annotation, document

FULL = HEIGHT * WIDTH
RUN = {"size": [HEIGHT, WIDTH]}
BAD = {
    "of an unknown picture": {"image_id": 2},
    "of an unknown category": {"category_id": 1},
    "without an outline": {"segmentation": []},
    "with fewer than 3 points": {"segmentation": [[1, 1, 20, 1, 20], [1, 1, 5, 1], []]},
    "with an outline that is too long to draw": {"segmentation": [[0, 0, 1e300, 0, 5, 5]]},
    "outside the picture": {"segmentation": [[WIDTH, 0, WIDTH + 9, 0, WIDTH + 9, 9]]},
    "with run lengths that do not fill the picture": {"segmentation": RUN | {"counts": [5, 5]}},
    "with a `segmentation` that is not as in COCO": {"segmentation": [[float("nan"), 1, 5, 1, 5, 5]]},
    "with a `iscrowd` that is not as in COCO": {"iscrowd": "often"},
    "with a `image_id` that is not as in COCO": {"image_id": "1"},
}


@pytest.mark.parametrize(("reason", "fields"), BAD.items())
def test_each_kind_is_found_and_nothing_else(load, reason, fields):
    index = load(document([annotation(1), annotation(2, **fields), annotation(3)]))
    assert [thing.annotation_id for thing in index.objects(0)] == [1, 3]
    assert index.rejected.counts == {reason: 1}
    assert index.rejected.listed == [(2, reason)]
    assert str(index.rejected) == f"1 annotation left out: 1 {reason}"


ROOF = [30, 5, 60, 5, 60, 40, 30, 40]
FAR = [[0, 0, 1e300, 0, 5, 5], [0, 0, 2e6, 0, 5, 5], [0, 0, 9e5, 0] * 6]
IN_PART = {
    STRAY: [[1, 1, 5, 1], [], [1, 1], [1], [1, 1, 5, 1, 5]],
    "with a ring that is too long to draw, left out": FAR,
    "with a ring that is no list of numbers, left out": [
        [1, 1, 5, 1, None, 5],
        [1, "x", 5, 1, 5, 5],
        [[1, 1]],
        None,
        7,
    ],
}


def drawn(*rings):
    """What pycocotools draws."""
    return coco.decode(coco.merge(coco.frPyObjects([*rings], HEIGHT, WIDTH)))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("damage", "ring"), [(damage, ring) for damage, rings in IN_PART.items() for ring in rings])
def test_one_bad_ring_does_not_take_the_good_ones_along(load, damage, ring, place):
    rings = [SQUARE, ROOF]
    rings.insert(place, ring)
    index = load(document([annotation(1, segmentation=rings)]))
    mask, valid = index.truth(0, [100])
    assert np.array_equal(mask[0], drawn(SQUARE, ROOF))
    assert valid.all()
    assert (len(index.rejected), index.damaged.counts, index.damaged.listed) == (0, {damage: 1}, [(1, damage)])
    assert str(index.damaged) == f"1 annotation used in part: 1 {damage}"


def test_an_odd_ring_is_drawn_as_pycocotools_does(load):
    odd = [[*ROOF, 5], [1, 1, 20, 1, 20, 20, 1]]
    index = load(document([annotation(1, segmentation=odd), annotation(2)]))
    assert np.array_equal(index.truth(0, [100])[0][0], drawn(*odd) | drawn(SQUARE))
    assert [ring.tolist() for ring in index.objects(0)[0].rings] == [
        np.reshape(ROOF, (-1, 2)).tolist(),
        [[1, 1], [20, 1], [20, 20]],
    ]
    ((identity, damage),) = index.damaged.listed
    assert (identity, "odd number of coordinates" in damage) == (1, True)


BOX = [30, 5, 30, 35]  # of ROOF


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        [[]],
        [[30, 5, 60, 40]],
        [FAR[0]],
        [[30, 5, None, 5, 60, 40]],
        "square",
        RUN | {"counts": [5]},
        RUN | {"counts": None},
    ],
)
def test_what_cannot_be_drawn_is_not_judged_inside_its_box(load, segmentation):
    index = load(document([annotation(1), annotation(2, segmentation=segmentation, bbox=BOX)]))
    mask, valid = index.truth(0, [100])
    assert np.array_equal(mask[0], drawn(SQUARE))
    assert np.array_equal(valid, drawn(ROOF) == 0)
    assert (len(index.rejected), index.rejected.boxed, index.annotation_count) == (1, 1, 1)
    assert str(index.rejected).endswith("; 1 of them not judged inside their box")
    assert [thing.annotation_id for thing in index.objects(0)] == [1]
    assert index.has_unjudged(0)


@pytest.mark.parametrize("ring", [FAR[1], [1, 1, None, 1, 5, 5]])
def test_beside_a_ring_that_cannot_be_drawn_the_box_is_not_judged(load, ring):
    index = load(document([annotation(1, segmentation=[SQUARE, ring], bbox=[5, 5, 40, 30])]))
    mask, valid = index.truth(0, [100])
    assert np.array_equal(mask[0], drawn(SQUARE))
    assert np.array_equal(valid, (drawn([5, 5, 45, 5, 45, 35, 5, 35]) == 0) | (mask[0] > 0))
    assert (len(index.rejected), len(index.damaged)) == (0, 1)


@pytest.mark.parametrize(
    "bbox",
    [None, [], BOX[:3], [*BOX, 1], [30, 5, 30, 0], [60, 5, 30, 20], [-9, 5, 30, 30], ["a", 1, 1, 1], [1e400, 1, 1, 1]],
)
def test_a_box_that_is_none_is_not_used(load, bbox):
    index = load(document([annotation(1), annotation(2, segmentation=[[]], bbox=bbox)]))
    assert index.truth(0, [100])[1].all()
    assert (len(index.rejected), index.rejected.boxed) == (1, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"iscrowd": None},
        {"iscrowd": 0.0},
        {"iscrowd": "0"},
        {"area": None},
        {"image_id": 1.0},
        {"category_id": 100.0},
        {"id": 2.0},
        {"segmentation": [[str(number) for number in ROOF]]},
        {"segmentation": [ROOF, [30, 5, 60, 40]]},
    ],
)
def test_other_forms_of_a_right_value(load, fields):
    index = load(document([annotation(2, segmentation=[ROOF]) | fields]))
    (thing,) = index.objects(0)
    assert (thing.annotation_id, thing.is_crowd, len(index.rejected)) == (2, False, 0)
    assert np.array_equal(index.truth(0, [100])[0][0], drawn(ROOF))


def test_whole_floats_are_run_lengths(load):
    counts = [float(number) for number in (HEIGHT * 5, 7, FULL - HEIGHT * 5 - 7)]
    sized = {"size": [float(HEIGHT), WIDTH], "counts": counts}
    index = load(document([annotation(1, segmentation=RUN | {"counts": counts}), annotation(2, segmentation=sized)]))
    assert [coco.area(thing.rle) for thing in index.objects(0)] == [7, 7]
    halves = [0.5, 0.5, FULL - 1.0]
    assert len(load(document([annotation(1, segmentation=RUN | {"counts": halves})])).rejected) == 1


def test_a_field_that_is_not_needed_to_draw_takes_nothing_along(load):
    other = annotation(2, segmentation=[ROOF])
    del other["id"]
    index = load(document([annotation(7, area="large"), other, annotation("seven", segmentation=[ROOF])]))
    first, *others = index.objects(0)
    assert (first.annotation_id, np.isnan(first.area)) == (7, True)
    assert [thing.annotation_id for thing in others] == [8, 9]
    assert index.damaged.listed == [
        (7, "with a `area` that is not as in COCO, left out"),
        (None, "without `id`, numbered anew"),
        (None, "with a `id` that is not as in COCO, numbered anew"),
    ]


def test_damage_is_counted_over_all_parts_of_a_long_file(load):
    rings = [SQUARE, [1, 1, 5, 1]]
    index = load(document([annotation(i, segmentation=rings) for i in range(5000)]))
    assert (index.damaged.counts, len(index.damaged.listed)) == ({STRAY: 5000}, 1000)
    assert index.annotation_count == 5000


@pytest.mark.parametrize(
    "segmentation",
    [
        [[0, HEIGHT, 9, HEIGHT, 9, HEIGHT + 9]],
        [[-9, 0, 0, 0, 0, 9]],
        [[0, -9, 9, -9, 9, 0]],
    ],
)
def test_outside_on_any_side(load, segmentation):
    index = load(document([annotation(1, segmentation=segmentation)]))
    assert index.rejected.counts == {"outside the picture": 1}


def test_partly_outside_is_kept(load):
    rings = [[[-9, 5, 9, 5, 9, 9, -9, 9]], [[1, 1, 9, 1, 9, 9], [WIDTH + 1, 1, WIDTH + 9, 1, WIDTH + 9, 9]]]
    index = load(document([annotation(i, segmentation=ring) for i, ring in enumerate(rings)]))
    assert len(index.rejected) == 0
    assert index.truth(0, [100])[0].any()


@pytest.mark.parametrize(
    "counts",
    [
        "",
        "o",  # ends in the middle of a number
        "ooooooo0",  # a number of more than 30 bits
        "\x7f",
        "é",
        [FULL, 1],
        [-1, FULL + 1],
        [0] * (FULL + 1) + [FULL],
        [2**70],
        [],
    ],
)
def test_run_lengths_that_would_mislead_the_c_code(load, counts):
    index = load(document([annotation(1), annotation(2, segmentation=RUN | {"counts": counts})]))
    assert index.rejected.listed == [(2, "with run lengths that do not fill the picture")]


@pytest.mark.parametrize("size", [[WIDTH, HEIGHT], [HEIGHT, -WIDTH], [0, 0], [2**70, 1]])
def test_run_lengths_of_another_size(load, size):
    run = {"size": size, "counts": [FULL]}
    index = load(document([annotation(1, segmentation=run)]))
    assert len(index.rejected) == 1


def test_a_missing_field_is_named(load):
    broken = annotation(5)
    del broken["image_id"]
    assert load(document([broken])).rejected.listed == [(5, "without `image_id`")]
    del broken["id"]
    assert load(document([broken])).rejected.listed == [(None, "without `image_id`")]


@pytest.mark.parametrize("item", [5, "roof", None, [], [[]]])
def test_items_that_are_no_annotation(load, item):
    index = load(document([annotation(1), item]))
    assert index.rejected.listed == [(None, "not as in COCO")]
    assert index.annotation_count == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "null"])
def test_numbers_that_json_has_not(load, number):
    text = json.dumps(document([annotation(1), annotation(2, segmentation=[["X", 1, 5, 1, 5, 5]]), annotation(3)]))
    index = load(text.replace('"X"', number).encode())
    assert index.rejected.listed == [(2, "with a `segmentation` that is not as in COCO")]
    assert index.annotation_count == 2


def test_nan_inside_a_name_stays(load):
    content = document([annotation(1, area=float("nan"))])
    content["images"][0]["file_name"] = 'NaN "Infinity, NaN".jpg'
    assert list(load(content).names) == ['NaN "Infinity, NaN".jpg']


def test_only_the_first_are_listed_but_all_are_counted(load):
    index = load(document([annotation(i, image_id=9) for i in range(1500)]))
    assert len(index.rejected) == 1500
    assert len(index.rejected.listed) == 1000


def test_a_long_outline_that_can_be_drawn_is_kept(load):
    ring = [c for i in range(30_000) for c in (i % 7 * 10, i % 5 * 8)]
    index = load(document([annotation(1, segmentation=[ring])]))
    assert index.annotation_count == 1
