"""Probabilities of an unfinished scene, on disk, so that a stopped prediction goes on where it stopped.

One byte a pixel (`rooftop.raster.steps`) and not compressed: a compressed file that somebody kills while it is
written is lost.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rooftop.files import read_json, whole, write_json
from rooftop.raster.windows import Window


class Canvas:
    """Stored values uint8 (K, H, W); opens what an interrupted run of the same `key` left, else begins anew.

    Args:
        folder: of its own; removed by `remove`.
        shape: (K, H, W).
        key: whatever determines the values; plain JSON.

    Attributes:
        rows: rows of windows that are finished.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], key: dict[str, Any]) -> None:
        self.shape, self.rows = shape, 0
        self._folder, self._values, self._progress = folder, folder / "values.u8", folder / "progress.json"
        self._key = {"shape": list(shape), **key}
        if self._progress.exists() and (state := read_json(self._progress))["key"] == self._key:
            self.rows = state["rows"]
        else:
            self._begin()

    def write(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Store uint8 (K, h, w)."""
        rows, columns = window.slices
        self._map("r+")[:, rows, columns] = values

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Stored values uint8 (K, h, w)."""
        rows, columns = window.slices
        return np.array(self._map("r")[:, rows, columns])

    def commit(self, rows: int) -> None:
        """Note that `rows` rows of windows are on disk."""
        self._map("r+").flush()
        write_json(self._progress, {"rows": rows, "key": self._key})
        self.rows = rows

    def remove(self) -> None:
        """Delete the folder: the scene is finished."""
        shutil.rmtree(self._folder)

    def _begin(self) -> None:
        size = int(np.prod(self.shape))
        with whole(self._values) as part, part.open("wb") as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):  # a disk that fills up under a memory map would kill the process
                os.posix_fallocate(file.fileno(), 0, size)
        self.commit(0)

    def _map(self, mode: Literal["r", "r+"]) -> np.memmap[Any, np.dtype[np.uint8]]:
        """Opened for each access, so that pages once touched do not stay in memory."""
        return np.memmap(self._values, dtype=np.uint8, mode=mode, shape=self.shape)
