"""What is written is what is read back, by this project and by pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rooftop.coco import Picture, Result, measured, open_index, pictures, rounded, write_annotations, write_results
from tests.coco.forms import HEIGHT, WIDTH, annotation, document, picture


def quietly(work, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        return work(*arguments)


@pytest.fixture
def index(load):
    """Every form: several rings, run lengths with a hole, a crowd, no area, a huge id, two categories."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:30, 5:60] = 1
    mask[10:12, 20:30] = 0
    run = rle.encode(np.asfortranarray(mask))
    run["counts"] = run["counts"].decode()
    annotations = [
        annotation(2**60, segmentation=[[1.1, 2, 30, 2, 30, 1 / 3], [40, 40, 50, 40, 50, 45]], area=99.5),
        annotation(2, segmentation=run, iscrowd=1, image_id=2, area=5),
        annotation(3, category_id=7),
    ]
    files = [picture(1, file_name="a/ß.jpg"), picture(2), picture(5, width=7, height=9)]
    return load(document(annotations, files, [{"id": 100, "name": "building"}, {"id": 7, "name": "shed"}]))


def test_read_after_write_is_the_same(index, tmp_path):
    path = tmp_path / "copy" / "annotation.json"
    write_annotations(path, pictures(index), index.categories)
    back = open_index(path, cache=tmp_path / "cache")
    assert back.categories == index.categories
    assert list(pictures(back)) == list(pictures(index))
    assert len(back.rejected) == 0


def test_written_twice_is_the_same_text(index, tmp_path):
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    write_annotations(first, pictures(index), index.categories)
    write_annotations(second, pictures(open_index(first, cache=tmp_path)), index.categories)
    assert first.read_bytes() == second.read_bytes()


def test_pycocotools_reads_it(index, tmp_path):
    path = tmp_path / "annotation.json"
    write_annotations(path, pictures(index), index.categories)
    api = quietly(COCO, str(path))
    assert api.getCatIds() == [100, 7]
    assert api.anns[2]["bbox"] == [5, 3, 55, 27]
    assert api.anns[3]["bbox"] == [10, 10, 10, 10]
    assert "area" not in api.anns[3]
    for i, identity in enumerate(index.ids.tolist()):
        for thing in api.imgToAnns[identity]:
            assert index.objects(i)
            assert api.annToMask(thing).shape == tuple(index.sizes[i])


def test_an_empty_data_set(tmp_path):
    write_annotations(tmp_path / "a.json", [], [])
    assert len(open_index(tmp_path / "a.json", cache=tmp_path)) == 0


def test_nothing_stays_behind_if_the_pictures_end_in_an_error(tmp_path):
    def broken():
        yield Picture(1, "a.jpg", HEIGHT, WIDTH, [])
        raise KeyError

    with pytest.raises(KeyError):
        write_annotations(tmp_path / "a.json", broken(), [])
    assert list(tmp_path.iterdir()) == []


def test_measured_area_is_that_of_the_pixels(index):
    thing = index.objects(0)[1]
    assert np.isnan(thing.area)
    assert measured(thing, HEIGHT, WIDTH).area == 100


def test_results_are_read_by_load_res_and_score_one_against_themselves(load, tmp_path):
    index = load(document([annotation(i, area=100, bbox=[10, 10, 10, 10], iscrowd=0) for i in (1, 2)]))
    mask = index.truth(0, [100])[0][0]
    run = rle.encode(np.asfortranarray(mask))
    path = tmp_path / "results.json"
    write_results(path, (Result(1, 100, score, run) for score in (0.75, 0.5)))
    truth = quietly(COCO, str(index.source))
    found = quietly(truth.loadRes, str(path))
    assert [(a["score"], a["area"], a["bbox"].tolist()) for a in found.anns.values()] == [
        (0.75, 100, [10, 10, 10, 10]),
        (0.5, 100, [10, 10, 10, 10]),
    ]
    evaluation = COCOeval(truth, found, "segm")
    quietly(evaluation.evaluate)
    quietly(evaluation.accumulate)
    quietly(evaluation.summarize)
    assert evaluation.stats[0] == pytest.approx(1)


_FINE = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=9)


@given(_FINE)
def test_rounded_polygons_are_valid_and_stay_where_they_were(corners):
    for polygon in shapely.get_parts(shapely.make_valid(shapely.Polygon(np.array(corners) / 1000))):
        if polygon.geom_type == "Polygon":
            found = rounded(polygon)
            assert shapely.is_valid(found).all()
            assert shapely.is_valid([shapely.Polygon(part.exterior) for part in found]).all()
            assert all(np.array_equal(np.round(part.exterior.coords, 2), part.exterior.coords) for part in found)
            assert shapely.union_all(found).difference(polygon.buffer(0.01)).is_empty


def test_a_needle_is_cut_off_and_a_sliver_vanishes():
    needle = shapely.Polygon([(0, 0), (5, 0), (5, 5), (2.504, 5), (2.5, 9), (2.496, 5), (0, 5)])
    assert not shapely.transform(needle, lambda corners: np.round(corners, 2)).is_valid
    assert [part.area for part in rounded(needle)] == [25]
    assert rounded(shapely.box(0, 0, 0.004, 8)) == rounded(shapely.Polygon()) == []
    (simple,) = rounded(shapely.box(-1e-9, 0, 3.33333, 2))
    assert simple.bounds == (0, 0, 3.33, 2)
    assert "-0.0" not in str(list(simple.exterior.coords))


def test_an_outline_that_rounding_would_cross_keeps_all_its_digits(tmp_path):
    needle = np.array([(0, 0), (5, 0), (5, 5), (2.504, 5), (2.5, 9), (2.496, 5), (0, 5)], float)
    run = rle.encode(np.ones((4, 4), np.uint8, order="F"))
    write_results(tmp_path / "r.json", [Result(1, 100, 0.5, run, [ring]) for ring in (needle, needle[:3] / 3)])
    crossing, simple = json.loads((tmp_path / "r.json").read_text())
    assert np.array_equal(np.reshape(crossing["outline"][0], (-1, 2)), needle)
    assert simple["outline"] == [[0, 0, 1.67, 0, 1.67, 1.67]]
