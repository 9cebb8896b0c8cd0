"""Probabilities of an unfinished scene, on disk, so that a stopped prediction goes on where it stopped.

One file for each row of windows, which appears when the row is finished: any number of processes, on any number of
machines with a common disk, fill one canvas without a word between them. One byte a pixel (`rooftop.raster.steps`) and
not compressed, so that windows are stored as they come; a canvas that only waits can be packed.
"""

import errno
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import ConfigError, RooftopError
from rooftop.files import read_json, whole, write_json
from rooftop.raster.windows import Window

GONE = ".gone"  # suffix of folders that are being deleted
_CHUNK = 1 << 20  # bytes packed at a time


class Canvas:
    """Stored values uint8 (K, H, W), in the rows of windows that fill them.

    Args:
        folder: of its own; what lies there is gone on with.
        shape: (K, H, W).
        ends: for each row of windows one past the last row of pixels that it makes final; the last is H.

    Attributes:
        folder, shape: as given.
        todo: rows of windows that this process is to fill: all that are missing, unless it is given fewer.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], ends: Sequence[int]) -> None:
        self.shape, self.folder, self._edges = shape, folder, [0, *ends]
        self._parts: dict[int, Path] = {}
        self.todo = [row for row in self._absent() if not self._packed(row).exists()]

    def require_room(self) -> None:
        """Look whether the disk has room for what is missing or packed.

        Raises:
            RooftopError: it has not.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lacks = sum(self._size(row) for row in self._absent()) - shutil.disk_usage(self.folder).free
        if lacks > 0:
            raise RooftopError(
                f"{self.folder}: no space left on the disk; free {lacks / 1e6:,.0f} MB more, or name another "
                "place: unfinished=FOLDER"
            )

    def write(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Store uint8 (K, h, w); the window lies within one row of windows that is not finished.

        Raises:
            RooftopError: no space left on the disk.
        """
        row = self._row(window.row)
        if row not in self._parts:
            self._parts[row] = self._reserved(row)
        top = window.row - self._edges[row]
        self._map(self._parts[row], row, "r+")[:, top : top + window.height, window.slices[1]] = values

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Stored values uint8 (K, h, w); 0 in rows of windows that are not finished."""
        values = np.zeros((self.shape[0], window.height, window.width), np.uint8)
        for row, top, bottom in self._rows_of(window):
            first = self._edges[row]
            part = self._map(self._path(row), row, "r")[:, top - first : bottom - first, window.slices[1]]
            values[:, top - window.row : bottom - window.row] = part
        return values

    def commit(self, row: int) -> None:
        """Let a row of windows appear: it is finished."""
        part = self._parts.pop(row)
        self._map(part, row, "r+").flush()
        part.replace(self._path(row))

    def finished(self) -> int:
        """Pixels of one category that are finished, by whatever process."""
        height = sum(bottom - top for _, top, bottom in self._rows_of(Window(0, 0, self.shape[2], self.shape[1])))
        return height * self.shape[2]

    def pack(self) -> None:
        """Compress the finished rows, to a tenth of their size or less as a rule; `unpack` makes them readable again.

        Raises:
            RooftopError: no space left on the disk.
        """
        rows = [row for row in range(len(self._edges) - 1) if self._path(row).exists()]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._pack, rows))

    def unpack(self) -> None:
        """Undo `pack`.

        Raises:
            RooftopError: no space left on the disk.
        """
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._unpack, [row for row in self._absent() if self._packed(row).exists()]))

    def remove(self) -> None:
        """Delete the folder: the scene is written.

        It is renamed first, lest another prediction of the same scene takes it up while files are still being deleted.
        """
        gone = self.folder.with_name(f"{uuid.uuid4().hex}{GONE}")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _rows_of(self, window: Window) -> Iterator[tuple[int, int, int]]:
        """Finished rows of windows in a window, each with the first and one past the last row of pixels there."""
        end = window.row + window.height
        for row in range(self._row(window.row), self._row(end - 1) + 1):
            if self._path(row).exists():
                yield row, max(self._edges[row], window.row), min(self._edges[row + 1], end)

    def _row(self, pixel: int) -> int:
        """The row of windows that makes a row of pixels final."""
        return bisect_right(self._edges, pixel) - 1

    def _size(self, row: int) -> int:
        return self.shape[0] * (self._edges[row + 1] - self._edges[row]) * self.shape[2]

    def _absent(self) -> list[int]:
        return [row for row in range(len(self._edges) - 1) if not self._path(row).exists()]

    def _path(self, row: int) -> Path:
        return self.folder / f"row-{row:05}.u8"

    def _packed(self, row: int) -> Path:
        return self.folder / f"row-{row:05}.gz"

    def _pack(self, row: int) -> None:
        plain, packed = self._path(row), self._packed(row)
        with whole(packed) as part, plain.open("rb") as source, gzip.open(part, "wb", compresslevel=1) as file:
            shutil.copyfileobj(source, file, _CHUNK)
        plain.unlink()

    def _unpack(self, row: int) -> None:
        plain, packed = self._path(row), self._packed(row)
        with whole(plain) as part, gzip.open(packed) as source, part.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        packed.unlink()

    def _reserved(self, row: int) -> Path:
        """An empty file; its name is unique, since a process that lost its way may still write the same row."""
        path = self.folder / f"row-{row:05}.{uuid.uuid4().hex}.part"
        with whole(path) as part, part.open("wb") as file:
            file.truncate(self._size(row))
            if hasattr(os, "posix_fallocate"):  # a disk that fills up under a memory map would kill the process
                os.posix_fallocate(file.fileno(), 0, self._size(row))
        return path

    def _map(self, path: Path, row: int, mode: Literal["r", "r+"]) -> np.memmap[Any, np.dtype[np.uint8]]:
        """Opened for each access, so that pages once touched do not stay in memory."""
        shape = (self.shape[0], self._edges[row + 1] - self._edges[row], self.shape[2])
        return np.memmap(path, dtype=np.uint8, mode=mode, shape=shape)


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
def locked_folder(parent: Path, key: dict[str, Any]) -> Iterator[Path]:
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


class Kept:
    """What a stopped prediction of many scenes need not predict again; packed, and given up where the disk is full."""

    def __init__(self) -> None:
        self._canvases: list[Canvas] = []

    def add(self, canvas: Canvas) -> None:
        """Keep what this process alone has for now; a disk without room for it costs no more than the keeping."""
        try:
            canvas.pack()
        except RooftopError:
            canvas.remove()
        else:
            self._canvases.append(canvas)

    def open(self, canvas: Canvas) -> None:
        """Make a canvas ready to be filled or read.

        Raises:
            RooftopError: the disk has no room for it, even with nothing kept.
        """
        try:
            canvas.require_room()
        except RooftopError:
            self.remove()
            canvas.require_room()
        canvas.unpack()

    def remove(self) -> None:
        """Delete all but what another prediction has taken up meanwhile, which will delete it."""
        while self._canvases:
            canvas = self._canvases.pop()
            with unused(canvas.folder) as free:
                if free:
                    canvas.remove()
