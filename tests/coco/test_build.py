"""Pictures and categories that cannot be used end in one sentence."""

import pytest

from rooftop.errors import DataError
from tests.coco.forms import document, picture

ENTRIES = {
    "absolute": (picture(file_name="/etc/passwd"), "leads out of its folder"),
    "parent": (picture(file_name="a/../../x.jpg"), "leads out of its folder"),
    "windows parent": (picture(file_name="..\\x.jpg"), "leads out of its folder"),
    "drive": (picture(file_name="c:x.jpg"), "leads out of its folder"),
    "share": (picture(file_name="\\\\host\\x\\y.jpg"), "leads out of its folder"),
    "nothing": (picture(file_name=""), "leads out of its folder"),
    "zero byte": (picture(file_name="a\0b.jpg"), "leads out of its folder"),
    "folder itself": (picture(file_name="."), "leads out of its folder"),
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
