"""Atomic writes (write beside, then rename), JSON files, locks, and the listing of a folder.

A killed process cannot delete its temporary files. Their names contain its number. The next process to write into the
same folder deletes the files of ended processes, and no others.
"""

import errno
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rooftop.errors import RooftopError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

_NAME = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<start>\d+)-[0-9a-f]{8}(\..*)?")
_OLDER_NAME = re.compile(r"\.[0-9a-f]{32}(\..*)?|\.footprints-\w{8}")  # of version 1.0; names no process
_FOREIGN_AGE = 24 * 3600  # seconds without a change, from which a file of an unknown process counts as left behind
_cleared: set[Path] = set()  # folders without files of ended processes
_locks: set[int] = set()  # file descriptors
_NOTHING = -1  # in place of a lock


# --- atomic writes ---


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    The temporary name keeps only the suffix: writers choose the format by it. The rest may be too long to extend, or
    look like an address to some writers.

    Raises:
        RooftopError: the disk is full, or the name is too long; an old file at `path` stays untouched.
    """
    try:
        part = _temporary(path.parent, path.suffix)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RooftopError(
                f"{path}: no space left on the disk; free some and run the same command again."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise RooftopError(f"{path}: this name is too long for the disk; give the source a shorter one.") from error
        raise


def require_file(path: Path, kind: type[RooftopError] = RooftopError) -> None:
    """Refuse anything but a regular file: a pipe or a device may never end.

    Raises:
        RooftopError: of this kind.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a null character in the name
        raise kind(f"{path}: no such file.") from error
    except OSError as error:
        raise kind(f"{str(path)[:200]}: cannot be opened ({error.strerror}); correct the path.") from error
    if not stat.S_ISREG(mode):
        raise kind(f"{path}: a folder, pipe or device; give a file.")


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder in `parent`; it is removed with its files when the block ends."""
    folder = _temporary(parent)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Delete temporary files of ended processes in a folder; files of running processes stay.

    A process of another machine cannot be looked up; its files count as left behind after a day without a change.
    """
    _cleared.add(folder.absolute())
    with os.scandir(folder) as entries:
        hidden = [Path(entry.path) for entry in entries if entry.name.startswith(".")]
    for path in filter(_is_left_behind, hidden):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _temporary(parent: Path, suffix: str = "") -> Path:
    """Return an unused hidden path in `parent`, which is made, and cleared the first time this process writes there."""
    parent.mkdir(parents=True, exist_ok=True)
    if parent.absolute() not in _cleared:
        clear_leftovers(parent)
    process = os.getpid()
    return parent / f".{_machine()}-{process}-{_start(process) or 0}-{uuid.uuid4().hex[:8]}{suffix}"


def _is_left_behind(path: Path) -> bool:
    named = _NAME.fullmatch(path.name)
    if named and named["machine"] == _machine():
        return not _runs(int(named["process"]), named["start"])
    if not named and not _OLDER_NAME.fullmatch(path.name):
        return False
    try:
        return time.time() - path.lstat().st_mtime > _FOREIGN_AGE
    except FileNotFoundError:
        return False


@functools.cache
def _machine() -> str:
    """Return eight hexadecimal digits for this machine since its start, or for this container on it."""
    try:
        identity = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        identity = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def _runs(process: int, start: str) -> bool:
    """Report whether a process runs that was started then; the system gives the number of an ended one to another."""
    now = _start(process)
    if now:
        return now == start
    if os.name == "nt":  # os.kill would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def _start(process: int) -> str:
    """Return the start of a process in clock ticks since the boot; "" where /proc does not show it."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] in "ZX" else fields[19]  # proc(5): fields 3 (state; Z: not yet reaped) and 22


# --- locks ---


def lock(path: Path) -> int | None:
    """Lock a file, made if it is missing; the system unlocks it when this process ends.

    Without `fcntl` (Windows) no other process is kept out.

    Returns:
        The lock, for `unlock`; None if another process holds it.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not HAS_LOCKS:
            return _NOTHING
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # its owner deleted the folder in between
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        except OSError:  # a disk without locks
            pass
        else:
            if not _same(held, path):
                os.close(held)
                continue
        _locks.add(held)
        return held


def unlock(held: int) -> None:
    """Give up a lock; deleting the file, if wanted, comes before."""
    if held in _locks:  # not in a forked process
        _locks.discard(held)
        os.close(held)


def _same(held: int, path: Path) -> bool:
    """Report whether an open file still has that name; its owner may have deleted it before unlocking."""
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except FileNotFoundError:
        return False


def _leave_locks_to_parent() -> None:
    """Close the locks in a forked process: it may outlive its parent, and must not hold them then."""
    while _locks:
        os.close(_locks.pop())


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_locks_to_parent)


# --- listing ---


def visible(folder: Path) -> list[Path]:
    """List a folder without hidden entries, sorted: temporary files, and macOS's `._name` beside each file."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


# --- JSON ---


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented UTF-8 JSON, atomically; NaN is refused, JSON has none."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RooftopError: the file is missing or not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RooftopError(f"{path}: no such file.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RooftopError(f"{path}: not valid JSON ({error}); write or download it again.") from error
