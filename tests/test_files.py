import errno
import os

import pytest

from rooftop.errors import RooftopError
from rooftop.files import atomic_write, read_json, write_json


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(ValueError, match="broken"), atomic_write(path) as part:
        part.write_text("half")
        raise ValueError("broken")
    assert read_json(path) == {"kept": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_full_disk_is_one_sentence_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(RooftopError, match=r"a\.json: no space left"), atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert read_json(path) == {"kept": 1}


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    path = tmp_path / f"{'l' * 250}.json"
    write_json(path, 1)
    assert read_json(path) == 1


@pytest.mark.parametrize("name", [f"{'l' * 251}.json", f"{'f' * 256}/a.json"])
def test_a_name_that_is_too_long_is_one_sentence(tmp_path, name):
    with pytest.raises(RooftopError, match="too long for the disk; give the source a shorter one"):
        write_json(tmp_path / name, 1)
    assert not list(tmp_path.iterdir())


def test_nan_is_refused_since_json_has_none(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"iou": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}"])
def test_no_json_names_the_file(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RooftopError, match=r"a\.json: not valid JSON"):
        read_json(path)
