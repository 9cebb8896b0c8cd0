"""An index is built once for each content, and again if its file is not whole."""

import json
import os

import pytest

from rooftop.coco import cache, open_index
from rooftop.errors import DataError
from tests.coco.forms import annotation, document


@pytest.fixture
def builds(monkeypatch):
    """The paths for which an index was built."""
    seen = []
    build = cache.build_index
    monkeypatch.setattr(cache, "build_index", lambda source, target: (seen.append(source), build(source, target)))
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
    whole_hash = cache._hash
    monkeypatch.setattr(cache, "_hash", lambda content: (hashed.append(len(content)), whole_hash(content))[1])
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
    assert cache.content_key(path, tmp_path) == cache.content_key(other, tmp_path)
