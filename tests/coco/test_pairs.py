"""Files and entries are paired by name; what has no partner is named."""

import pytest

from rooftop.coco.pairs import unpaired
from rooftop.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "sub/c.tif", "sub/deep/d.jpg", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_all_have_a_partner(folder):
    found = unpaired(folder, ["sub/deep/d.jpg", "a.PNG", "b.jpg", "sub/c.tif"])
    assert not found.missing
    assert not found.extra


def test_those_without_are_named(folder):
    found = unpaired(folder, ["z.jpg", "b.jpg", "notes.txt", "c.tif"])
    assert found.missing == ["z.jpg", "c.tif"]
    assert found.extra == ["a.PNG", "sub/c.tif", "sub/deep/d.jpg"]


def test_another_spelling_of_the_same_file_is_not_missing(folder):
    assert unpaired(folder, ["./b.jpg", "sub//c.tif"]).missing == []


def test_a_name_that_no_file_can_have(folder):
    assert unpaired(folder, ["1" * 1000, "a/" * 3000 + "b"]).missing == ["1" * 1000, "a/" * 3000 + "b"]


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        unpaired(tmp_path / "x", [])
