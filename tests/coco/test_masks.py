"""Mask pictures equal the truth, are made once, and again when the annotations change."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from rooftop.coco import MaskFolder, MaskReport
from rooftop.errors import DataError
from tests.coco.forms import HEIGHT, WIDTH, annotation, document, picture


@pytest.fixture
def index(load):
    names = [picture(i, file_name=f"sub/{i}.jpg") for i in range(1, 8)]
    things = [annotation(i, image_id=i, segmentation=[[i, 3, 40 + i, 5, 9, 30 + i]]) for i in range(1, 7)]
    things += [annotation(8, image_id=1, category_id=2), annotation(9, image_id=2, iscrowd=1)]
    return load(document(things, names, [{"id": 100, "name": "building"}, {"id": 2, "name": "shed"}]))


def test_each_mask_equals_that_of_pycocotools(index, tmp_path):
    report = MaskFolder(index, [100], tmp_path / "masks").make()
    assert report == MaskReport(made=7, kept=0, left=0)
    with contextlib.redirect_stdout(io.StringIO()):
        api = COCO(str(index.source))
    for identity in range(1, 8):
        image = Image.open(tmp_path / "masks" / f"{identity}.png")
        assert (image.mode, image.size) == ("L", (WIDTH, HEIGHT))
        want = np.zeros((HEIGHT, WIDTH), np.uint8)
        for thing in api.imgToAnns[identity]:
            if thing["category_id"] == 100 and not thing.get("iscrowd"):
                want |= api.annToMask(thing)
        assert np.array_equal(np.asarray(image), want * 255)


def test_several_categories_are_united(index, tmp_path):
    MaskFolder(index, [100, 2], tmp_path).make(limit=1)
    union = index.truth(0, [100, 2])[0].max(axis=0)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "1.png")), union * 255)


def test_it_goes_on_where_it_stopped(index, tmp_path):
    masks = MaskFolder(index, [100], tmp_path)
    assert masks.make(limit=3) == MaskReport(made=3, kept=0, left=4)
    before = (tmp_path / "2.png").stat().st_mtime_ns
    (tmp_path / "3.png").unlink()
    assert masks.make() == MaskReport(made=5, kept=2, left=0)
    assert (tmp_path / "2.png").stat().st_mtime_ns == before


def test_progress_is_told(index, tmp_path):
    told = []
    MaskFolder(index, [100], tmp_path).make(limit=5, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_several_processes_make_the_same_files(load, tmp_path):
    things = [annotation(i, image_id=i, segmentation=[[i % 50, 3, 70, 5, 9, 40]]) for i in range(200)]
    index = load(document(things, [picture(i) for i in range(200)]))
    assert MaskFolder(index, [100], tmp_path / "two").make(processes=2).made == 200
    MaskFolder(index, [100], tmp_path / "one").make()
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "two").iterdir()
    }


def test_masks_of_other_annotations_are_made_again(index, load, tmp_path):
    folder = tmp_path / "masks"
    MaskFolder(index, [100], folder).make()
    changed = load(document([annotation(1)], [picture(1), picture(2)]))
    assert MaskFolder(changed, [100], folder).make() == MaskReport(made=2, kept=0, left=0)
    assert sorted(p.name for p in folder.glob("*.png")) == ["1.png", "2.png"]
    assert np.asarray(Image.open(folder / "1.png")).sum() == 100 * 255


def test_masks_of_other_categories_are_made_again(index, tmp_path):
    MaskFolder(index, [100], tmp_path).make()
    assert MaskFolder(index, [2], tmp_path).make().made == 7


def test_a_broken_stamp_means_made_again(index, tmp_path):
    MaskFolder(index, [100], tmp_path).make()
    (tmp_path / ".masks.json").write_text("{")
    assert MaskFolder(index, [100], tmp_path).make().made == 7


def test_pictures_of_somebody_else_are_not_touched(index, tmp_path):
    (tmp_path / "1.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="of another origin"):
        MaskFolder(index, [100], tmp_path).make()
    assert (tmp_path / "1.png").read_bytes() == b"mine"


def test_two_pictures_of_one_stem_are_named(load, tmp_path):
    index = load(document(pictures=[picture(1, file_name="x/a.jpg"), picture(2, file_name="y/a.png")]))
    with pytest.raises(DataError, match=r"x/a.jpg and y/a.png would have the same mask file"):
        MaskFolder(index, [100], tmp_path).make()
    assert not list(tmp_path.glob("*.png"))
