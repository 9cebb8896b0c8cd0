import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from rooftop.coco import Result, open_index, read_results, write_results
from rooftop.errors import DataError
from rooftop.raster.rasterise import decode, encode

HEIGHT, WIDTH = 12, 20


@pytest.fixture
def index(tmp_path):
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (5, 9)],
        "categories": [{"id": 100, "name": "building"}],
        "annotations": [],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    return open_index(tmp_path / "truth.json", cache=tmp_path / "cache")


def roof(left):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[2:8, left : left + 5] = 1
    return mask


def results(tmp_path, *segmentations, **changes):
    entries = [
        {"image_id": 9, "category_id": 100, "score": 0.5, "segmentation": segmentation} | changes
        for segmentation in segmentations
    ]
    (tmp_path / "found.json").write_text(json.dumps(entries))
    return tmp_path / "found.json"


def test_what_was_written_is_read_back(tmp_path, index):
    written = [Result(9, 100, 0.75, encode(roof(3))), Result(5, 100, 0.5, encode(roof(9)))]
    write_results(tmp_path / "found.json", written)
    read = read_results(tmp_path / "found.json", index)
    found = [*read.of(9), *read.of(5)]
    assert [(f.image_id, f.category_id, f.score, f.rle) for f in found] == [
        (w.image_id, w.category_id, w.score, w.rle) for w in written
    ]
    assert [f.rings for f in found] == [None, None]


def test_an_outline_goes_beside_the_run_lengths_and_pycocotools_does_not_mind(tmp_path, index):
    outline = [np.array([[3.25, 2], [8, 2], [8, 8], [3.25, 8]]), np.array([[5, 4], [6, 4], [6, 5.5]])]
    write_results(
        tmp_path / "found.json", [Result(9, 100, 0.75, encode(roof(3)), outline), Result(9, 100, 0.5, encode(roof(9)))]
    )
    results = read_results(tmp_path / "found.json", index)
    drawn, plain = results.of(9)
    assert [ring.tolist() for ring in drawn.outline] == [ring.tolist() for ring in outline]
    assert plain.outline is None
    assert (len(results), results.without_outline) == (2, 1)
    assert len(COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "found.json")).anns) == 2


@pytest.mark.parametrize("outline", [[[0, 0, 5, 5]], [[0, 0, 5, 5, 3, float("nan")]], "round", {"size": [1, 1]}])
def test_an_outline_of_another_form_is_named(tmp_path, index, outline):
    rle = {"size": [HEIGHT, WIDTH], "counts": encode(roof(3))["counts"].decode()}
    with pytest.raises(DataError, match=r"found\.json(: result 0|: not a COCO results file)"):
        read_results(results(tmp_path, rle, outline=outline), index).of(9)


def test_rings_and_uncompressed_counts_are_drawn_as_pycocotools_does(tmp_path, index):
    rings = [[3, 2, 8, 2, 8, 8, 3, 8], [10, 1, 15, 1, 15, 4]]
    counts = {"size": [HEIGHT, WIDTH], "counts": [0, 30, HEIGHT * WIDTH - 30]}
    read = read_results(results(tmp_path, rings, counts), index).of(9)
    drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, HEIGHT, WIDTH)))
    assert np.array_equal(decode([read[0].rle], HEIGHT, WIDTH), drawn)
    assert [ring.ravel().tolist() for ring in read[0].rings] == rings
    assert coco_mask.area(read[1].rle) == 30


def test_a_stray_ring_does_not_take_a_result_along(tmp_path, index, caplog):
    good, odd = [3, 2, 8, 2, 8, 8, 3, 8], [10, 1, 15, 1, 15, 4, 9]
    read = read_results(results(tmp_path, [good, [1, 1, 5, 5], [], odd], [good, [1, 1]]), index).of(9)
    drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([good, odd], HEIGHT, WIDTH)))
    assert np.array_equal(decode([read[0].rle], HEIGHT, WIDTH), drawn)
    assert [ring.ravel().tolist() for ring in read[0].rings] == [good, odd[:6]]
    assert [ring.ravel().tolist() for ring in read[1].rings] == [good]
    assert caplog.text.count("fewer than 3 points") == 1  # said once


def test_a_result_of_a_box_alone_is_its_rectangle_as_pycocotools_has_it(tmp_path, index):
    box = {"image_id": 9, "category_id": 100, "score": 0.5, "bbox": [3, 2, 5, 6]}
    (tmp_path / "found.json").write_text(json.dumps([box, box | {"segmentation": [[1, 1, 3, 1, 3, 3]]}]))
    read = read_results(tmp_path / "found.json", index).of(9)
    theirs = COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "found.json"))
    for found, ann in zip(read, theirs.anns.values(), strict=True):
        assert np.array_equal(decode([found.rle], HEIGHT, WIDTH), theirs.annToMask(ann))
        assert found.area == ann["area"] == 30


def test_boxes_count_only_if_the_first_result_has_one_as_in_pycocotools(tmp_path, index):
    rle = {"size": [HEIGHT, WIDTH], "counts": encode(roof(3))["counts"].decode()}
    plain = {"image_id": 9, "category_id": 100, "score": 0.5, "segmentation": rle}
    (tmp_path / "found.json").write_text(json.dumps([plain, plain | {"bbox": [0, 0, 2, 2]}]))
    assert [found.area for found in read_results(tmp_path / "found.json", index).of(9)] == [None, None]


def test_an_id_with_decimals_of_zero_is_the_id(tmp_path, index):
    path = results(tmp_path, [[1, 1, 5, 1, 5, 5]], image_id=9.0, category_id=100.0)
    (found,) = read_results(path, index).of(9)
    assert repr((found.image_id, found.category_id)) == "(9, 100)"


def test_a_result_without_outline_and_box_is_named(tmp_path, index):
    (tmp_path / "found.json").write_text(json.dumps([{"image_id": 9, "category_id": 100, "score": 0.5}]))
    with pytest.raises(DataError, match="result 0: it has neither segmentation nor bbox; write the file again"):
        read_results(tmp_path / "found.json", index)


def test_a_picture_without_results(tmp_path, index):
    assert read_results(results(tmp_path), index).of(5) == []


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [],
        [[]],
        [[1, 1, 1e9, 1, 1e9, 1e9]],
        [[0, 0, 1e12, 0, 5, 5]],
        {"size": [HEIGHT, WIDTH], "counts": [5]},
        {"size": [WIDTH, HEIGHT], "counts": [0, 240]},
        {"size": [HEIGHT, WIDTH], "counts": "###"},
        "nonsense",
    ],
)
def test_a_wrong_outline_is_named(tmp_path, index, segmentation):
    read = read_results(results(tmp_path, segmentation), index)
    with pytest.raises(DataError, match=r"found\.json: result 0"):
        read.of(9)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"image_id": 7}, "no picture has image_id 7 in"), ({"category_id": 1}, "no category has category_id 1 in")],
)
def test_what_the_annotations_do_not_know_is_named(tmp_path, index, change, said):
    with pytest.raises(DataError, match=f"result 0: {said} .*use the ids of that file"):
        read_results(results(tmp_path, [[1, 1, 5, 1, 5, 5]], **change), index)


def twins(tmp_path):
    """Annotations of two categories; two pictures have one name, in folders of their own."""
    images = [{"id": 5 + i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(NAMES)]
    categories = [{"id": 7, "name": "house"}, {"id": 1, "name": "tree"}]
    (tmp_path / "twins.json").write_text(json.dumps({"images": images, "categories": categories, "annotations": []}))
    return open_index(tmp_path / "twins.json", cache=tmp_path / "cache")


NAMES = ("a/1.png", "b/1.png", "b/2.png")


def test_results_that_were_numbered_without_the_annotations_lie_where_their_names_say(tmp_path, index):
    """Number 5 is another picture there; one category is the one that is meant, whatever it is called."""
    written = Result(5, 1, 0.5, encode(roof(3)), picture="9.png", category="roof")
    write_results(tmp_path / "found.json", [written])
    assert [(found.image_id, found.category_id) for found in read_results(tmp_path / "found.json", index).of(9)] == [
        (9, 100)
    ]
    write_results(tmp_path / "found.json", [Result(5, 1, 0.5, encode(roof(3)), picture="2.png", category="house")])
    (found,) = read_results(tmp_path / "found.json", twins(tmp_path)).of(7)
    assert found.category_id == 7
    assert len(COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "found.json")).anns) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"picture": "1.png", "category": "house"}, "1.png is the name of 2 pictures in"),
        ({"picture": "3.png", "category": "house"}, "3.png is the name of no picture in"),
        ({"picture": "2.png", "category": "roof"}, "no category is named roof in"),
    ],
)
def test_names_that_the_annotations_do_not_know_are_named(tmp_path, names, said):
    with pytest.raises(DataError, match=f"result 0: {said} .*twins.json; .*the names of its pictures"):
        read_results(results(tmp_path, [[1, 1, 5, 1, 5, 5]], **names, image_id=5), twins(tmp_path))


def test_other_files_are_refused(tmp_path, index):
    (tmp_path / "dataset.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="not a COCO results file"):
        read_results(tmp_path / "dataset.json", index)
    with pytest.raises(DataError, match="is a folder; name the file in it"):
        read_results(tmp_path, index)
    with pytest.raises(DataError, match="no such file"):
        read_results(tmp_path / "nothing.json", index)
