"""File names of annotations never lead out of their folder.

Files and entries are paired by name; what has no partner is named.
"""

import pytest

from rooftop.coco import picture_path
from rooftop.coco.names import stays_inside, unpaired
from rooftop.errors import DataError


@pytest.mark.parametrize("name", ["a.jpg", "z 18_1.png", "a/b/c.tif", "ß.jpg", "..a.jpg", "a..b/c", "._x", ".hidden"])
def test_names_that_stay(name):
    assert stays_inside(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "/a", "../a", "a/../b", "a/..", "a\\..\\b", "C:\\a", "c:a", "a\0"]
)
def test_names_that_leave(name):
    assert not stays_inside(name)


def test_a_symbolic_link_out_is_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "secret.jpg").touch()
    (folder / "a.jpg").symlink_to("../secret.jpg")
    (folder / "b.jpg").symlink_to("c.jpg")
    with pytest.raises(DataError, match=r"'a.jpg' lies outside .*images; copy the picture"):
        picture_path(folder, "a.jpg")
    assert picture_path(folder, "b.jpg") == folder / "b.jpg"


def test_links_in_a_circle_end_nowhere(tmp_path):
    (tmp_path / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    assert not picture_path(tmp_path, "a.jpg").is_file()


def test_a_folder_that_is_a_link_itself_is_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "images").symlink_to("real")
    assert picture_path(tmp_path / "images", "a.jpg") == tmp_path / "images" / "a.jpg"


def test_a_name_too_long_for_any_file_is_only_a_file_that_is_not_there(tmp_path):
    assert not (folder := tmp_path / "pictures").exists()
    assert picture_path(folder, "1" * 300).parent == folder


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
