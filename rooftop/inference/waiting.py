"""Where unfinished scenes wait: a folder for each, which one prediction at a time has for itself."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from rooftop.errors import ConfigError
from rooftop.files import read_json, write_json
from rooftop.inference.canvas import GONE

_LOCK, _NOTE = "lock", "key.json"


def require_folder(parent: Path) -> None:
    """Make the folder in which unfinished scenes wait.

    Raises:
        ConfigError: it cannot be made, or not be written to.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(
            f"unfinished={parent}: no folder that can be written to ({error.strerror}); name another place."
        ) from error


@contextmanager
def own_folder(parent: Path, key: dict[str, Any]) -> Iterator[Path]:
    """A folder that nobody else uses until the block ends, with what a stopped prediction of the same key left in it.

    Two predictions of one key at a time, as in a sweep over thresholds, get two folders.

    Args:
        parent: of all such folders.
        key: whatever determines what is left there; plain JSON.
    """
    for gone in parent.glob(f"*{GONE}"):  # whoever deleted it was killed
        shutil.rmtree(gone, ignore_errors=True)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folders = (parent / (f"{name}-{number}" if number else name) for number in count())
    folder, lock = next((folder, lock) for folder in folders if (lock := _locked(folder)) is not None)
    try:
        _tidy(folder, key)
        yield folder
    finally:
        os.close(lock)


@contextmanager
def unused(folder: Path) -> Iterator[bool]:
    """Whether nobody else uses such a folder; if so, nobody will until the block ends."""
    lock = _locked(folder)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """An open lock file; None if another process has it. The system lets go of it when its process ends."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # its owner finished and deleted the folder in between
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:  # a disk without locks
            return lock
        if _same(lock, folder / _LOCK):
            return lock
        os.close(lock)


def _same(lock: int, path: Path) -> bool:
    """Whether an open file is still the one of that name; its owner may have deleted it before letting go."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _tidy(folder: Path, key: dict[str, Any]) -> None:
    """Delete what killed processes left half-written, and all that is of another key."""
    note = folder / _NOTE
    if note.exists() and read_json(note) == key:
        for path in folder.glob("*.part"):
            path.unlink(missing_ok=True)
        return
    for path in folder.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    write_json(note, key)
