import errno
import os

import numpy as np
import pytest

from rooftop.errors import RooftopError
from rooftop.inference.canvas import Canvas
from rooftop.raster.windows import Window


def test_what_is_written_is_read_and_stays(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    canvas = Canvas(tmp_path / "c", (2, 9, 7), {"a": 1})
    canvas.write(Window(2, 5, 4, 3), values)
    canvas.commit(2)
    again = Canvas(tmp_path / "c", (2, 9, 7), {"a": 1})
    assert again.rows == 2
    assert np.array_equal(again.read(Window(2, 5, 4, 3)), values)
    assert not again.read(Window(0, 0, 7, 5)).any()


@pytest.mark.parametrize(("shape", "key"), [((2, 9, 8), {"a": 1}), ((2, 9, 7), {"a": 2})])
def test_another_task_begins_anew(tmp_path, shape, key):
    Canvas(tmp_path / "c", (2, 9, 7), {"a": 1}).commit(2)
    canvas = Canvas(tmp_path / "c", shape, key)
    assert canvas.rows == 0
    assert not canvas.read(Window(0, 0, 7, 9)).any()


def test_remove_leaves_nothing(tmp_path):
    Canvas(tmp_path / "c", (1, 3, 2), {}).remove()
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be set aside here")
def test_a_disk_without_room_is_told_before_work_starts(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RooftopError, match="no space left on the disk"):
        Canvas(tmp_path / "c", (1, 3, 2), {})
    assert not [*(tmp_path / "c").iterdir()]
