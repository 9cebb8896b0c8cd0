"""A file full of annotations may teach nothing; what is left out is counted."""

import numpy as np
import pytest

from rooftop.coco import choose_channels, lessons, require_learnable
from rooftop.coco.learnable import CROWD_REMEDY, NORMALISED_REMEDY
from rooftop.errors import DataError
from tests.coco.forms import HEIGHT, WIDTH, annotation, document, picture

ROOTED = [{"id": 0, "name": "buildings"}, {"id": 100, "name": "building"}]
MERGED = [{"id": 100, "name": "building"}, {"id": 2, "name": "building"}, {"id": 3, "name": "shed"}]
SMALL = [0.25, 0.5, 0.5, 0.5, 0.5, 0.75]
EMPTY = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}


def counted(index, pictures=None):
    found = lessons(index, pictures)
    return [(each.category.id, each.total, each.crowds, each.normalised, each.is_learnable) for each in found]


def refusal(index, **options):
    with pytest.raises(DataError) as caught:
        require_learnable(index, choose_channels(index, options.pop("categories", None)), **options)
    return str(caught.value).removeprefix(f"{index.source}: ")


def test_each_reason_is_counted_by_category(load):
    index = load(
        document(
            [
                annotation(1),
                annotation(2, iscrowd=1, category_id=0),
                annotation(3, iscrowd=1, category_id=0),
                annotation(4, segmentation=[SMALL]),
                annotation(5, segmentation=EMPTY),
            ],
            categories=ROOTED,
        )
    )
    assert counted(index) == [(0, 2, 2, 0, False), (100, 3, 0, 1, True)]


def test_only_the_chosen_pictures_count(load):
    index = load(document([annotation(1, image_id=2)], [picture(1), picture(2)]))
    assert counted(index, np.array([0])) == [(100, 0, 0, 0, False)]
    assert counted(index, np.array([1])) == [(100, 1, 0, 0, True)]


def test_a_file_without_anything_has_nothing_to_learn(load):
    assert counted(load(document(categories=[]))) == []
    assert refusal(load(document())) == "not one annotation, so there is nothing to learn; export it again."
    assert "not one annotation, so" in refusal(load(document(categories=[])))


@pytest.mark.parametrize(
    ("fields", "reason", "remedy"),
    [
        ({"iscrowd": 1}, "2 marked iscrowd", CROWD_REMEDY),
        ({"iscrowd": 1, "segmentation": EMPTY}, "2 marked iscrowd", CROWD_REMEDY),
        ({"segmentation": [SMALL]}, "2 with coordinates from 0 to 1", NORMALISED_REMEDY),
        ({"segmentation": [SMALL, [v / 2 for v in SMALL]]}, "2 with coordinates from 0 to 1", NORMALISED_REMEDY),
        ({"segmentation": EMPTY}, "2 without a pixel", "draw them again"),
        ({"category_id": 9}, "2 annotations left out: 2 of an unknown category", "correct them"),
    ],
)
def test_annotations_that_teach_nothing_are_told_with_reason_and_remedy(load, fields, reason, remedy):
    index = load(document([annotation(1, **fields), annotation(2, **fields)]))
    told = refusal(index)
    assert told.startswith(f"not one of 2 annotations can be learned: {reason}; {remedy}")


def test_the_most_frequent_reason_gives_the_remedy(load):
    annotations = [annotation(1, iscrowd=1), annotation(2, segmentation=EMPTY), annotation(3, iscrowd=True)]
    assert refusal(load(document(annotations))) == (
        f"not one of 3 annotations can be learned: 2 marked iscrowd, 1 without a pixel; {CROWD_REMEDY}."
    )


def test_a_roof_cut_off_by_the_corner_is_in_pixels(load):
    sliver = [-4, -4, 1, -4, 1, 1, -4, 1]
    cut = [0, 0, 0.9, 0, 0.9, 0.8, 0, 0.8]
    index = load(document([annotation(1, segmentation=[sliver]), annotation(2, segmentation=[cut])]))
    assert counted(index) == [(100, 2, 0, 0, True)]


def test_a_corner_among_normalised_outlines_is_normalised_too(load):
    cut = [0, 0, 0.9, 0, 0.9, 0.8, 0, 0.8]
    index = load(document([annotation(1, segmentation=[SMALL]), annotation(2, segmentation=[cut])]))
    assert counted(index) == [(100, 2, 0, 2, False)]


def test_outlines_of_which_one_ring_is_in_pixels_are_in_pixels(load):
    (thing,) = document([annotation()])["annotations"]
    index = load(document([thing | {"segmentation": [SMALL, *thing["segmentation"]]}]))
    assert counted(index) == [(100, 1, 0, 0, True)]


def test_categories_without_annotations_are_no_channels(load):
    index = load(document([annotation()], categories=ROOTED))
    assert choose_channels(index, None) == [(100,)]
    assert choose_channels(index, ["buildings", 100]) == [(0,), (100,)]
    assert choose_channels(load(document(categories=ROOTED)), None) == [(0,), (100,)]


def test_unknown_ground_is_no_channel_even_where_nothing_can_be_learned(load):
    categories = [{"id": 100, "name": "building"}, {"id": 200, "name": "unknown"}]
    crowds = [annotation(1, iscrowd=1), annotation(2, iscrowd=1, category_id=200)]
    assert choose_channels(load(document(crowds, categories=categories)), None) == [(100,)]
    assert choose_channels(load(document([*crowds, annotation(3)], categories=categories)), None) == [(100,)]


def test_categories_of_one_name_share_a_channel(load):
    index = load(document([annotation(1), annotation(2, category_id=2)], categories=MERGED))
    assert choose_channels(index, None) == [(100, 2)]
    assert choose_channels(index, ["shed", "building"]) == [(3,), (100, 2)]
    assert choose_channels(index, [2]) == [(2,)]
    assert choose_channels(index, ["building", "building"]) == [(100,), (2,)]  # as runs of older versions name them


def test_the_categories_of_a_run_are_preferred(load):
    index = load(document([annotation(1)], categories=ROOTED))
    assert choose_channels(index, None, ["buildings", "building"]) == [(0,), (100,)]
    assert choose_channels(index, None, ["buildings"]) == [(0,)]
    assert choose_channels(index, None, ["roof"]) == [(100,)]  # one category may have another name
    assert choose_channels(index, ["building"], ["buildings"]) == [(100,)]
    with pytest.raises(DataError, match="no category 'roof'; did you mean"):
        choose_channels(index, None, ["roof", "building"])


def test_a_named_category_without_annotations_is_refused_with_those_that_have_some(load):
    index = load(document([annotation()], categories=ROOTED))
    assert refusal(index, categories=["buildings"], named=True) == (
        "data.categories names buildings: not one annotation, so there is nothing to learn; choose building (1)."
    )
    assert "names buildings: " in refusal(index, categories=["building", "buildings"], named=True)
    require_learnable(index, [(100,)], named=True)
    require_learnable(index, [(0,), (100,)])  # one is enough if nobody named them


def test_a_named_category_of_crowds_alone_is_refused(load):
    index = load(document([annotation(), annotation(2, category_id=0, iscrowd=1)], categories=ROOTED))
    assert refusal(index, categories=["buildings"], named=True) == (
        "data.categories names buildings: not one of 1 annotations can be learned: 1 marked iscrowd; "
        f"{CROWD_REMEDY}, or choose building (1)."
    )


def test_the_nearest_name_offered_has_annotations(load):
    index = load(document([annotation()], categories=ROOTED))
    with pytest.raises(DataError, match=r"no category 'roof'; did you mean building \(100\)\?"):
        index.category_ids(["roof"])
