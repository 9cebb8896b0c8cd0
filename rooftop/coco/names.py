"""File names out of an annotation file: refused if they lead out of their folder, kept as one text."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arena import Array
from rooftop.errors import DataError

_PLAIN = re.compile(r"\w[\w.-]*\Z")  # nearly all names; the others take a hundred times longer to judge


def stays_inside(name: str) -> bool:
    """Whether a file name names a file inside its folder, on this system and on any other."""
    if _PLAIN.match(name):
        return True
    if not name or "\0" in name:
        return False
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    leaves = ".." in windows.parts or posix.is_absolute() or bool(windows.anchor)
    return not leaves and bool(posix.name)


def picture_path(folder: Path, name: str) -> Path:
    """The file of a picture.

    Args:
        folder: that holds the pictures.
        name: as the annotation file has it, with `/` between parts.

    Raises:
        DataError: it lies outside `folder`, also by a symbolic link.
    """
    path = folder / name
    if _PLAIN.match(name) and not os.path.islink(path):  # noqa: PTH114 (Path.is_symlink fails on names that are too long)
        return path
    # realpath, since Path.resolve fails on links that lead in a circle
    if not stays_inside(name) or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise DataError(f"{name!r} leads out of {folder}; copy the picture into that folder and name it so.")
    return path


class Names(Sequence[str]):
    """File names held as one array of UTF-8 bytes; each is decoded when asked for."""

    def __init__(self, text: Array, first: Array) -> None:
        self._text = text
        self._first = first

    def __len__(self) -> int:
        return len(self._first) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return self._text[self._first[row] : self._first[row + 1]].tobytes().decode()


def pack_names(names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The opposite of `Names`: UTF-8 of all names, uint8, and the first byte of each (and the end), int64."""
    texts = [name.encode() for name in names]
    first = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), first
