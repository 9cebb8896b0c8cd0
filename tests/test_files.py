import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rooftop import files
from rooftop.errors import RooftopError
from rooftop.files import atomic_write, clear_leftovers, read_json, visible, write_json


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


# --- what killed processes leave ---

LEAVE = """
import os, signal, sys, time
from pathlib import Path
from rooftop.files import atomic_write, temporary_folder

with atomic_write(Path(sys.argv[1], "a.png")) as part, temporary_folder(Path(sys.argv[1])) as shelf:
    part.write_text("half")
    (shelf / "b.png").write_text("half")
    print(flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process with a half-written file and a temporary folder in `tmp_path`."""
    command = [sys.executable, "-c", LEAVE, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_the_next_writer_deletes_what_a_killed_one_left_and_nothing_else(tmp_path, writer):
    (tmp_path / ".hidden.png").write_text("of the user")
    clear_leftovers(tmp_path)
    assert len([*tmp_path.iterdir()]) == 3  # the process lives
    assert [path.name for path in visible(tmp_path)] == []
    writer.kill()
    writer.wait()
    files._cleared.discard(tmp_path)
    write_json(tmp_path / "b.json", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.png", "b.json"]


def test_another_process_with_the_number_of_the_killed_one_keeps_nothing(tmp_path):
    with atomic_write(tmp_path / "a.png") as part:
        machine, process, start, token = part.stem.split("-")
        (tmp_path / f"{machine}-{process}-{int(start) - 1}-{token}.png").touch()
        part.touch()
        clear_leftovers(tmp_path)
        assert [*tmp_path.iterdir()] == ([part] if int(start) else [*tmp_path.iterdir()])


@pytest.mark.parametrize("name", [".00000000-1-1-0123abcd.png", f".{'6c' * 16}.png", ".footprints-abcd_123"])
def test_files_of_other_machines_and_versions_go_after_a_day(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if "." not in name[1:] else path.touch()
    clear_leftovers(tmp_path)
    assert path.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(path, (yesterday, yesterday))
    clear_leftovers(tmp_path)
    assert not path.exists()


def test_workers_end_with_a_killed_parent(tmp_path):
    program = (
        "import os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from rooftop.processes import end_with_parent\n"
        "pool = ProcessPoolExecutor(1, None, end_with_parent, (os.getpid(),))\n"
        "print(pool.submit(os.getpid).result(), flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.kill()
        parent.wait()
        assert parent.stdout.read() == ""  # open for as long as the worker lives
