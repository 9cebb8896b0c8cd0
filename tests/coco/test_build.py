"""A long list of annotations is read by several processes, with the same result.

Pictures and categories that cannot be used end in one sentence.
"""

import pytest

from rooftop.coco import build, pictures
from rooftop.errors import DataError
from tests.coco.forms import annotation, document, picture


@pytest.fixture
def content():
    items = [annotation(i, image_id=i % 3 + 1, segmentation=[[i, 1, i + 9.5, 1, 3, 20]]) for i in range(60)]
    items[20]["image_id"] = 99
    items[41]["segmentation"] = "?"
    return document(items, [picture(1), picture(2), picture(3)])


def read(load, content, monkeypatch, *, block):
    monkeypatch.setattr(build, "BLOCK", block)
    index = load(content)
    index.path.unlink()
    return list(pictures(index)), index.rejected.counts, sorted(index.rejected.listed)


def test_blocks_on_several_processes_are_the_same_as_one(load, content, monkeypatch):
    together = read(load, content, monkeypatch, block=1000)
    monkeypatch.setattr(build, "_may_fork", lambda tasks: False)
    assert read(load, content, monkeypatch, block=1000) == together
    assert read(load, content, monkeypatch, block=1 << 24) == together
    assert together[2] == [
        (20, "of an unknown picture"),
        (41, "with a `segmentation` that is not as in COCO"),
    ]


def test_a_block_cut_inside_a_string_is_read_as_one_list(load, content, monkeypatch):
    expected = read(load, content, monkeypatch, block=1 << 24)
    for item in content["annotations"]:
        item["note"] = '}, {"' * 50
    assert read(load, content, monkeypatch, block=300) == expected


def test_a_process_of_a_loader_starts_no_others(monkeypatch):
    assert build._may_fork(2)
    assert not build._may_fork(1)
    monkeypatch.setattr(build.current_process(), "_config", {"daemon": True})
    assert not build._may_fork(2)


ENTRIES = {
    "absolute": (picture(file_name="/etc/passwd"), "has a file_name outside the folder of the pictures"),
    "parent": (picture(file_name="a/../../x.jpg"), "has a file_name outside the folder of the pictures"),
    "windows parent": (picture(file_name="..\\x.jpg"), "has a file_name outside the folder of the pictures"),
    "drive": (picture(file_name="c:x.jpg"), "has a file_name outside the folder of the pictures"),
    "share": (picture(file_name="\\\\host\\x\\y.jpg"), "has a file_name outside the folder of the pictures"),
    "nothing": (picture(file_name=""), "has a file_name outside the folder of the pictures"),
    "zero byte": (picture(file_name="a\0b.jpg"), "has a file_name outside the folder of the pictures"),
    "folder itself": (picture(file_name="."), "has a file_name outside the folder of the pictures"),
    "bomb": (picture(width=10**6, height=10**6), "1000000 x 1000000 pixels"),
    "no size": ({"id": 1, "file_name": "a.jpg"}, "missing required field `width`"),
    "zero": (picture(width=0), "entry 0 of images"),
    "negative": (picture(height=-5), "entry 0 of images"),
    "text": (picture(width="80"), "entry 0 of images"),
    "number": (7, "entry 0 of images"),
}


@pytest.mark.parametrize(("entry", "words"), ENTRIES.values(), ids=ENTRIES)
def test_a_bad_picture_is_named(load, entry, words):
    with pytest.raises(DataError) as error:
        load(document(pictures=[entry]))
    message = str(error.value)
    assert words in message
    assert message.endswith(".")
    assert "\n" not in message


def test_two_pictures_of_one_id(load):
    with pytest.raises(DataError, match="two pictures have the id 4"):
        load(document(pictures=[picture(4), picture(5), picture(4, file_name="b.jpg")]))


@pytest.mark.parametrize("categories", [[{"id": 1}], [{"name": "roof"}], [5], [{"id": "1", "name": "roof"}]])
def test_categories_need_id_and_name(load, categories):
    with pytest.raises(DataError, match="each needs an id and a name"):
        load(document(categories=categories))


def test_two_categories_of_one_id(load):
    with pytest.raises(DataError, match="two categories have the same id"):
        load(document(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]))


def test_nothing_is_written_for_a_file_that_cannot_be_used(load, tmp_path):
    with pytest.raises(DataError):
        load(document(pictures=[7]))
    assert list(tmp_path.rglob("*.index")) == []
