"""Unfinished scenes on disk, so that an interrupted prediction resumes.

A canvas holds the probabilities of one scene: one file for each row of windows, published when the row is finished. So
any number of processes, on any number of machines with a common disk, fill one canvas without messages between them.
One byte a pixel (`rooftop.raster.probability`), not compressed, so that windows are written as they come; the canvas of
a finished scene is compressed while the other scenes of a folder are predicted.
"""

import errno
import gzip
import hashlib
import json
import os
import shutil
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import ConfigError, RooftopError
from rooftop.files import atomic_write, lock, read_json, unlock, write_json
from rooftop.inference.distributed import Processes
from rooftop.raster.windows import Window

_GONE = ".gone"  # suffix of folders under deletion
_LOCK, _KEY_FILE = "lock", "key.json"  # files in the folder of a canvas, beside its rows
_CHUNK = 1 << 20  # bytes compressed at a time


class Canvas:
    """Probabilities of one scene on disk, uint8 (K, H, W), one file for each row of windows.

    Args:
        folder: of this canvas alone; the rows in it are reused.
        shape: (K, H, W).
        ends: for each row of windows, one past the last row of pixels it makes final; the last is H.

    Attributes:
        folder: as given.
        shape: as given.
        todo: rows of windows for this process to fill: all missing rows, or its share of them.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], ends: Sequence[int]) -> None:
        self.shape, self.folder, self._edges = shape, folder, [0, *ends]
        self._parts: dict[int, Path] = {}
        self.todo = [row for row in self._absent() if not self._compressed(row).exists()]

    def require_room(self) -> None:
        """Check that the disk has room for all missing and compressed rows.

        Raises:
            RooftopError: it has not.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lacks = sum(self._size(row) for row in self._absent()) - shutil.disk_usage(self.folder).free
        if lacks > 0:
            raise RooftopError(
                f"{self.folder}: no space left on the disk; free {lacks / 1e6:,.0f} MB more, or name another "
                "folder: unfinished=FOLDER"
            )

    def write(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Write values uint8 (K, h, w); the window lies within one unfinished row of windows.

        Raises:
            RooftopError: no space left on the disk.
        """
        row = self._row(window.row)
        if row not in self._parts:
            self._parts[row] = self._reserved(row)
        top = window.row - self._edges[row]
        self._map(self._parts[row], row, "r+")[:, top : top + window.height, window.slices[1]] = values

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read values uint8 (K, h, w); 0 in unfinished rows of windows."""
        values = np.zeros((self.shape[0], window.height, window.width), np.uint8)
        for row, top, bottom in self._rows_of(window):
            first = self._edges[row]
            part = self._map(self._path(row), row, "r")[:, top - first : bottom - first, window.slices[1]]
            values[:, top - window.row : bottom - window.row] = part
        return values

    def commit(self, row: int) -> None:
        """Publish a finished row of windows (atomic rename)."""
        part = self._parts.pop(row)
        self._map(part, row, "r+").flush()
        part.replace(self._path(row))

    def finished(self) -> int:
        """Count the finished pixels of one channel, of all processes."""
        height = sum(bottom - top for _, top, bottom in self._rows_of(Window(0, 0, self.shape[2], self.shape[1])))
        return height * self.shape[2]

    def compress(self) -> None:
        """Compress the finished rows, usually to a tenth of their size or less; `decompress` makes them readable.

        Raises:
            RooftopError: no space left on the disk.
        """
        rows = [row for row in range(len(self._edges) - 1) if self._path(row).exists()]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._compress, rows))

    def decompress(self) -> None:
        """Decompress the rows of an earlier `compress`.

        Raises:
            RooftopError: no space left on the disk.
        """
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._decompress, [row for row in self._absent() if self._compressed(row).exists()]))

    def remove(self) -> None:
        """Delete the folder.

        It is renamed first: another prediction of the same scene must not resume from a half-deleted folder.
        """
        gone = self.folder.with_name(f"{uuid.uuid4().hex}{_GONE}")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _rows_of(self, window: Window) -> Iterator[tuple[int, int, int]]:
        """Finished rows of windows in a window, each with its first and one past its last row of pixels in it."""
        end = window.row + window.height
        for row in range(self._row(window.row), self._row(end - 1) + 1):
            if self._path(row).exists():
                yield row, max(self._edges[row], window.row), min(self._edges[row + 1], end)

    def _row(self, pixel: int) -> int:
        """Row of windows for a row of pixels."""
        return bisect_right(self._edges, pixel) - 1

    def _size(self, row: int) -> int:
        return self.shape[0] * (self._edges[row + 1] - self._edges[row]) * self.shape[2]

    def _absent(self) -> list[int]:
        return [row for row in range(len(self._edges) - 1) if not self._path(row).exists()]

    def _path(self, row: int) -> Path:
        return self.folder / f"row-{row:05}.u8"

    def _compressed(self, row: int) -> Path:
        return self.folder / f"row-{row:05}.gz"

    def _compress(self, row: int) -> None:
        plain, compressed = self._path(row), self._compressed(row)
        with (
            atomic_write(compressed) as part,
            plain.open("rb") as source,
            gzip.open(part, "wb", compresslevel=1) as file,
        ):
            shutil.copyfileobj(source, file, _CHUNK)
        plain.unlink()

    def _decompress(self, row: int) -> None:
        plain, compressed = self._path(row), self._compressed(row)
        with atomic_write(plain) as part, gzip.open(compressed) as source, part.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        compressed.unlink()

    def _reserved(self, row: int) -> Path:
        """Allocate a file for a row; the name is unique, since a hanging process may still write the same row."""
        path = self.folder / f"row-{row:05}.{uuid.uuid4().hex}.part"
        with atomic_write(path) as part, part.open("wb") as file:
            file.truncate(self._size(row))
            if hasattr(os, "posix_fallocate"):  # a full disk under a memory map would kill the process
                os.posix_fallocate(file.fileno(), 0, self._size(row))
        return path

    def _map(self, path: Path, row: int, mode: Literal["r", "r+"]) -> np.memmap[Any, np.dtype[np.uint8]]:
        """Map a file anew for each access, so that touched pages do not stay in memory."""
        shape = (self.shape[0], self._edges[row + 1] - self._edges[row], self.shape[2])
        return np.memmap(path, dtype=np.uint8, mode=mode, shape=shape)


def require_writable(parent: Path) -> None:
    """Make the folder of all unfinished scenes.

    Raises:
        ConfigError: it cannot be made or written to.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(
            f"unfinished={parent}: not a writable folder ({error.strerror}); name another one."
        ) from error


@contextmanager
def locked_folder(parent: Path, key: dict[str, Any]) -> Iterator[Path]:
    """Lock a folder until the block ends, with the files of an interrupted prediction of the same key.

    Two predictions of one key at the same time, as in a sweep over thresholds, get two folders.

    Args:
        parent: of all such folders.
        key: cache key, plain JSON.
    """
    for gone in parent.glob(f"*{_GONE}"):  # its process was killed while deleting
        shutil.rmtree(gone, ignore_errors=True)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folders = (parent / (f"{name}-{number}" if number else name) for number in count())
    folder, held = next((folder, held) for folder in folders if (held := lock(folder / _LOCK)) is not None)
    try:
        _tidy(folder, key)
        yield folder
    finally:
        unlock(held)


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Lock a folder until the block ends, if it is free; yields whether it was."""
    held = lock(folder / _LOCK)
    try:
        yield held is not None
    finally:
        if held is not None:
            unlock(held)


def _tidy(folder: Path, key: dict[str, Any]) -> None:
    """Delete half-written files of killed processes, and all files of another key."""
    key_file = folder / _KEY_FILE
    if key_file.exists() and read_json(key_file) == key:
        for path in folder.glob("*.part"):
            path.unlink(missing_ok=True)
        return
    for path in folder.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    write_json(key_file, key)


class Unfinished:
    """Unfinished scenes of one prediction in one folder.

    Finished canvases are kept until the files about all scenes are written too: an interrupted prediction of a folder
    does not predict a scene twice. Each is compressed before the next one is opened.

    Args:
        folder: of all canvases.
        processes: fill each canvas together.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder, self.processes = folder, processes
        self._latest: Canvas | None = None  # kept, not yet compressed
        self._kept: list[Canvas] = []

    @contextmanager
    def canvas(self, key: dict[str, Any], shape: tuple[int, int, int], ends: Sequence[int]) -> Iterator[Canvas]:
        """Open the canvas of a scene with the finished rows of an interrupted prediction.

        The first process locks it until the block ends, and makes room for it; each process gets its share of the
        missing rows.

        Args:
            key: cache key, plain JSON.
            shape: (K, H, W).
            ends: as for `Canvas`.

        Raises:
            RooftopError: the disk has no room for the canvas, even without the kept ones.
        """
        self._compress_latest()
        with ExitStack() as stack:
            locked = stack.enter_context(locked_folder(self.folder, key)) if self.processes.first else None
            folder = self.processes.broadcast(locked)
            assert folder is not None  # the first process always has one
            canvas = Canvas(folder, shape, ends)
            if self.processes.first:
                self._make_room(canvas)
                canvas.decompress()
            canvas.todo = self.processes.part(canvas.todo)
            yield canvas

    def keep(self, canvas: Canvas) -> None:
        """Keep a finished canvas until `remove_kept`."""
        self._latest = canvas

    def remove_kept(self) -> None:
        """Delete the kept canvases, except those in use by another prediction: it deletes them itself."""
        if self._latest:
            self._kept.append(self._latest)
            self._latest = None
        while self._kept:
            canvas = self._kept.pop()
            with try_lock(canvas.folder) as free:
                if free:
                    canvas.remove()

    def _compress_latest(self) -> None:
        """Compress the latest finished canvas, unless in use; if the disk is full, delete it instead."""
        canvas, self._latest = self._latest, None
        if canvas is None:
            return
        with try_lock(canvas.folder) as free:
            try:
                if free:
                    canvas.compress()
                self._kept.append(canvas)
            except RooftopError:
                canvas.remove()

    def _make_room(self, canvas: Canvas) -> None:
        try:
            canvas.require_room()
        except RooftopError:
            self.remove_kept()
            canvas.require_room()
