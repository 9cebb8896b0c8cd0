"""The index says what the file says.

An index is built once for each content, and again if its file is not whole.
"""

import json
import os
import pickle

import numpy as np
import pytest
from pycocotools import mask as coco

from rooftop.coco import Category, open_index
from rooftop.coco import index as module
from rooftop.errors import DataError
from tests.coco.forms import HEIGHT, SQUARE, WIDTH, annotation, document, picture

HUGE = 2**53 + 1


def test_pictures_stand_in_the_order_of_the_file(load):
    index = load(document(pictures=[picture(7), picture(3, file_name="a/ß ü.png", width=5, height=9)]))
    assert len(index) == 2
    assert index.ids.tolist() == [7, 3]
    assert index.ids.dtype == np.int64
    assert index.sizes.tolist() == [[HEIGHT, WIDTH], [9, 5]]
    assert index.sizes.dtype == np.int32
    assert list(index.names) == ["7.jpg", "a/ß ü.png"]
    assert index.names[-1] == "a/ß ü.png"
    assert index.names[:1] == ["7.jpg"]
    with pytest.raises(IndexError):
        index.names[2]


def test_annotations_come_to_their_picture_in_the_order_of_the_file(load):
    annotations = [annotation(9, image_id=2), annotation(8), annotation(HUGE, image_id=2)]
    index = load(document(annotations, [picture(1), picture(2), picture(3)]))
    assert [[o.annotation_id for o in index.objects(i)] for i in range(3)] == [[8], [9, HUGE], []]
    assert index.annotation_count == 3


def test_missing_fields_have_a_meaning(load):
    (thing,) = load(document([annotation()])).objects(0)
    assert np.isnan(thing.area)
    assert not thing.is_crowd
    assert thing.rle is None
    assert thing.rings[0].tolist() == np.reshape(SQUARE, (-1, 2)).tolist()
    assert thing.rings[0].dtype == np.float64


@pytest.mark.parametrize("value", [0.1, 1e5 + 1 / 3, 7, 33000.5, -3.25])
def test_coordinates_keep_every_bit(load, value):
    ring = [value, 1, 20, 1, 20, 20, 3.5, 20.125]
    (thing,) = load(document([annotation(segmentation=[ring])])).objects(0)
    assert thing.rings[0].ravel().tolist() == ring


def test_flags_and_area_are_kept(load):
    index = load(document([annotation(iscrowd=True, area=12.5), annotation(2, iscrowd=1), annotation(3, iscrowd=0)]))
    assert [thing.is_crowd for thing in index.objects(0)] == [True, True, False]
    assert index.objects(0)[0].area == 12.5


def test_run_lengths_compressed_or_not_are_one_form(load):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:30, 5:60] = 1
    mask[10:12, 20:30] = 0
    packed = coco.encode(np.asfortranarray(mask))
    edges = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0))
    counts = np.diff([0, *edges, mask.size]).tolist()
    size = [HEIGHT, WIDTH]
    index = load(
        document(
            [
                annotation(1, segmentation={"size": size, "counts": packed["counts"].decode()}),
                annotation(2, segmentation={"size": size, "counts": counts}),
            ]
        )
    )
    first, second = index.objects(0)
    assert first.rle == second.rle == packed
    assert first.rings is None
    assert np.array_equal(index.truth(0, [100])[0][0], mask)


def test_categories_by_name_or_id(load):
    index = load(document(categories=[{"id": 100, "name": "building"}, {"id": 2, "name": "shed"}]))
    assert index.categories == (Category(100, "building"), Category(2, "shed"))
    assert index.category_ids(None) == [100, 2]
    assert index.category_ids(["shed", 100]) == [2, 100]
    with pytest.raises(DataError, match=r"no category 'buildng'; did you mean building \(100\)\?"):
        index.category_ids(["buildng"])
    with pytest.raises(DataError, match="no category 1;"):
        index.category_ids([1])


def test_a_file_without_categories_has_none_to_offer(load):
    with pytest.raises(DataError, match="the file has no categories"):
        load(document(categories=[])).category_ids(["roof"])


def test_truth_has_a_channel_for_each_category(load):
    annotations = [annotation(1), annotation(2, category_id=2, segmentation=[[30, 5, 40, 5, 40, 9, 30, 9]])]
    index = load(document(annotations, categories=[{"id": 100, "name": "a"}, {"id": 2, "name": "b"}]))
    mask, valid = index.truth(0, [2, 100])
    assert mask.shape == (2, HEIGHT, WIDTH)
    assert mask.dtype == np.uint8
    assert valid.all()
    assert mask[0].sum() == 40
    assert mask[1].sum() == 100


def test_a_crowd_is_no_truth_but_makes_its_pixels_invalid_where_nothing_else_lies(load):
    crowd = annotation(2, iscrowd=1, segmentation=[[0, 0, 80, 0, 80, 15, 0, 15]])
    mask, valid = load(document([annotation(1), crowd])).truth(0, [100])
    assert mask.sum() == 100
    assert valid.dtype == np.bool_
    assert valid[12, 12]
    assert not valid[12, 5]
    assert valid[20, 5]
    assert (~valid).sum() == 15 * 80 - 5 * 10


def test_a_crowd_of_unknown_ground_takes_the_objects_in_it_along(load):
    """The square is 10 to 20 in both directions; the crowd covers the rows above 15."""
    above = {"iscrowd": 1, "segmentation": [[0, 0, 80, 0, 80, 15, 0, 15]]}
    crowds = [annotation(2, **above), annotation(3, category_id=200, **above)]
    categories = [{"id": 100, "name": "building"}, {"id": 200, "name": "unknown"}]
    mask, valid = load(document([annotation(1), *crowds], categories=categories)).truth(0, [100])
    assert mask.sum() == 100
    assert valid[15:].all()
    assert not valid[:15].any()


def test_a_picture_without_annotations_is_empty_truth(load):
    mask, valid = load(document()).truth(0, [100])
    assert mask.shape == (1, HEIGHT, WIDTH)
    assert not mask.any()
    assert valid.all()


def test_pickling_carries_the_path_only(load):
    index = load(document([annotation(i) for i in range(500)]))
    text = pickle.dumps(index)
    assert len(text) < 1000
    assert pickle.loads(text).objects(0) == index.objects(0)


def test_objects_are_equal_by_what_they_say(load):
    first, second = load(document([annotation(1), annotation(2)])).objects(0)
    assert first != second
    assert first != 1
    assert len({first, first}) == 1


def test_an_empty_file_is_an_empty_index(load):
    index = load(document(pictures=[]))
    assert len(index) == 0
    assert len(index.rejected) == 0
    assert str(index.rejected) == "no annotation left out"


@pytest.fixture
def builds(monkeypatch):
    """The paths for which an index was built."""
    seen = []
    build = module.build_index
    monkeypatch.setattr(module, "build_index", lambda source, target: (seen.append(source), build(source, target)))
    return seen


def test_built_once(load, builds):
    assert load(document([annotation()])).annotation_count == 1
    assert load(document([annotation()])).annotation_count == 1
    assert len(builds) == 1


def test_a_copy_of_the_file_shares_the_index(load, builds, tmp_path):
    index = load(document([annotation()]))
    copy = tmp_path / "copy.json"
    copy.write_bytes(index.source.read_bytes())
    assert open_index(copy, cache=tmp_path / "cache").path == index.path
    assert len(builds) == 1


def test_changed_content_is_read_again(load, builds):
    load(document([annotation()]))
    assert load(document([annotation(), annotation(2)])).annotation_count == 2
    assert len(builds) == 2


def test_the_content_is_not_hashed_again_while_the_file_stays(load, monkeypatch):
    index = load(document([annotation()]))
    hashed = []
    whole_hash = module._hash
    monkeypatch.setattr(module, "_hash", lambda content: (hashed.append(len(content)), whole_hash(content))[1])
    open_index(index.source, cache=index.path.parent)
    assert hashed
    os.utime(index.source, ns=(1, 1))
    open_index(index.source, cache=index.path.parent)
    assert len(hashed) == 3


@pytest.mark.parametrize(
    "content", [b"", b"rooftop1", b"rooftop1\xff\xff\0\0\0\0\0\0", b"rooftop1\x02\0\0\0\0\0\0\0{}"]
)
def test_a_broken_index_is_built_again(load, builds, content):
    index = load(document([annotation()]))
    index.path.write_bytes(content)
    assert load(document([annotation()])).annotation_count == 1
    assert len(builds) == 2


def test_an_index_that_was_cut_off_is_built_again(load, builds):
    index = load(document([annotation(i) for i in range(99)]))
    index.path.write_bytes(index.path.read_bytes()[:-1000])
    assert load(document([annotation(i) for i in range(99)])).annotation_count == 99
    assert len(builds) == 2


def test_the_default_folder_lies_beside_the_outputs(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_index(write(document())).path.parent.as_posix() == "outputs/.index"


def test_a_cache_that_cannot_be_written_is_named(write, tmp_path):
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(DataError, match="cache"):
        open_index(write(document()), cache=tmp_path / "cache")


def test_the_key_knows_the_content_only(write, tmp_path):
    path = write(document())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document()))
    assert module.content_key(path, tmp_path) == module.content_key(other, tmp_path)
