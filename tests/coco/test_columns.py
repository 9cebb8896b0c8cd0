"""What cannot be drawn is left out, counted, and listed by id with the reason; the rest is kept."""

import json

import pytest

from tests.coco.forms import HEIGHT, WIDTH, annotation, document

FULL = HEIGHT * WIDTH
RUN = {"size": [HEIGHT, WIDTH]}
BAD = {
    "of an unknown picture": {"image_id": 2},
    "of an unknown category": {"category_id": 1},
    "without an outline": {"segmentation": []},
    "with an odd number of coordinates": {"segmentation": [[1, 1, 5, 1, 5, 5, 1]]},
    "with fewer than 3 points": {"segmentation": [[1, 1, 20, 1, 20, 20], [1, 1, 5, 1]]},
    "with an outline that is too long to draw": {"segmentation": [[0, 0, 1e300, 0, 5, 5]]},
    "outside the picture": {"segmentation": [[WIDTH, 0, WIDTH + 9, 0, WIDTH + 9, 9]]},
    "with run lengths that do not fill the picture": {"segmentation": RUN | {"counts": [5, 5]}},
    "with a `segmentation` that is not as in COCO": {"segmentation": [[float("nan"), 1, 5, 1, 5, 5]]},
    "with a `area` that is not as in COCO": {"area": "large"},
}


@pytest.mark.parametrize(("reason", "fields"), BAD.items())
def test_each_kind_is_found_and_nothing_else(load, reason, fields):
    index = load(document([annotation(1), annotation(2, **fields), annotation(3)]))
    assert [thing.annotation_id for thing in index.objects(0)] == [1, 3]
    assert index.rejected.counts == {reason: 1}
    assert index.rejected.listed == [(2, reason)]
    assert str(index.rejected) == f"1 annotation left out: 1 {reason}"


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
    assert load(document([broken])).rejected.listed == [(None, "without `id`")]


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
