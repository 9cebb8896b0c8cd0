import errno
import os
import shutil
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

from rooftop.errors import ConfigError, RooftopError
from rooftop.inference.unfinished import Canvas, locked_folder
from rooftop.raster.windows import Window

SHAPE, ENDS = (2, 9, 7), [4, 7, 9]
VALUES = np.arange(126, dtype=np.uint8).reshape(SHAPE) + 1


@pytest.fixture
def canvas(tmp_path):
    canvas = Canvas(tmp_path / "c", SHAPE, ENDS)
    canvas.require_room()
    return canvas


def fill(canvas, row):
    """Write a row of windows in two blocks."""
    top, bottom = ([0, *ENDS])[row : row + 2]
    for columns in (slice(0, 3), slice(3, 7)):
        window = Window(columns.start, top, columns.stop - columns.start, bottom - top)
        canvas.write(window, VALUES[:, top:bottom, columns])


def test_what_is_committed_is_read_in_any_window_and_stays(canvas, tmp_path):
    fill(canvas, 2)
    fill(canvas, 0)
    canvas.commit(0)
    canvas.commit(2)
    again = Canvas(tmp_path / "c", SHAPE, ENDS)
    assert again.todo == [1]
    assert again.finished() == (4 + 2) * 7
    expected = np.where((np.arange(9) < 4) | (np.arange(9) >= 7), 1, 0)[None, :, None] * VALUES
    for window in (Window(0, 0, 7, 9), Window(2, 3, 4, 5), Window(6, 8, 1, 1), Window(0, 4, 7, 3)):
        assert np.array_equal(again.read(window), expected[(slice(None), *window.slices)])


def test_what_is_not_committed_is_to_do(canvas, tmp_path):
    fill(canvas, 1)
    again = Canvas(tmp_path / "c", SHAPE, ENDS)
    assert again.todo == [0, 1, 2]
    assert again.finished() == 0


def test_two_processes_fill_one_canvas(canvas, tmp_path):
    other = Canvas(tmp_path / "c", SHAPE, ENDS)
    for each, row in ((canvas, 0), (other, 1), (canvas, 2), (other, 2)):
        fill(each, row)
        each.commit(row)
    assert np.array_equal(canvas.read(Window(0, 0, 7, 9)), VALUES)
    assert np.array_equal(other.read(Window(0, 0, 7, 9)), VALUES)


def test_remove_leaves_nothing(canvas, tmp_path):
    fill(canvas, 0)
    canvas.remove()
    assert not [*tmp_path.iterdir()]


def test_a_disk_without_room_is_told_before_work_starts(canvas, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=125))
    with pytest.raises(RooftopError, match="no space left on the disk; free 0 MB more"):
        canvas.require_room()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be set aside here")
def test_a_disk_that_fills_up_meanwhile_is_told(canvas, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RooftopError, match="no space left on the disk"):
        fill(canvas, 0)
    assert not [*(tmp_path / "c").iterdir()]


def test_who_begins_while_a_folder_is_deleted_keeps_a_folder(tmp_path, monkeypatch):
    key, rmdir, begun = {"scene": 1}, os.rmdir, ExitStack()

    def late(path, *args, **kwargs):
        monkeypatch.undo()
        folder = begun.enter_context(locked_folder(tmp_path / "w", key))
        (folder / "row-00000.u8").write_bytes(b"1")
        return rmdir(path, *args, **kwargs)

    with begun, locked_folder(tmp_path / "w", key) as folder:
        canvas = Canvas(folder, SHAPE, ENDS)
        monkeypatch.setattr(os, "rmdir", late)
        canvas.remove()
        (left,) = (tmp_path / "w").iterdir()
        assert (left / "row-00000.u8").read_bytes() == b"1"


def test_what_a_killed_deletion_left_is_deleted(tmp_path):
    (tmp_path / "w" / "a.gone").mkdir(parents=True)
    with locked_folder(tmp_path / "w", {"scene": 1}) as folder:
        assert [*(tmp_path / "w").iterdir()] == [folder]


def test_what_a_stopped_prediction_left_is_found_again_without_its_half_rows(tmp_path):
    with locked_folder(tmp_path / "w", {"a": 1}) as folder:
        for name in ("row-00000.u8", "row-00001.abc.part"):
            (folder / name).write_bytes(b"1")
    with locked_folder(tmp_path / "w", {"a": 1}) as again:
        assert again == folder
        assert {path.name for path in again.iterdir()} == {"row-00000.u8", "key.json", "lock"}
    with locked_folder(tmp_path / "w", {"a": 2}) as other:
        assert other != folder


def test_content_of_another_key_is_deleted(tmp_path):
    with locked_folder(tmp_path / "w", {"a": 1}) as folder:
        (folder / "row-00000.u8").write_bytes(b"1")
        (folder / "key.json").write_text('{"a": 2}')
    with locked_folder(tmp_path / "w", {"a": 1}) as again:
        assert {path.name for path in again.iterdir()} == {"key.json", "lock"}


def test_two_at_a_time_get_two_folders_and_the_first_is_free_afterwards(tmp_path):
    with locked_folder(tmp_path / "w", {}) as one:
        with locked_folder(tmp_path / "w", {}) as other:
            assert one != other
        with locked_folder(tmp_path / "w", {}) as third:
            assert third == other
    with locked_folder(tmp_path / "w", {}) as again:
        assert again == one


@pytest.mark.parametrize("folder", ["/proc/nope", "file", "file/below"])
def test_an_unfinished_folder_that_cannot_be_written_to_is_named_before_any_work(find, raster, town, tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=rf"unfinished=.*{folder}: not a writable folder"):
        find(raster(town), unfinished=tmp_path / folder)
    assert not (tmp_path / "out").exists()
