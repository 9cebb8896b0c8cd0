"""File names out of an annotation file: refused if they lead out of their folder, kept as one text.

Picture files versus the entries of an annotation file: which of either has no partner.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arrays import Array
from rooftop.errors import DataError
from rooftop.raster.picture import SUFFIXES

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


@dataclass(frozen=True)
class Unpaired:
    """missing: entries without a file, in their order. extra: files without an entry, sorted; `/` between parts."""

    missing: Sequence[str]
    extra: Sequence[str]


def unpaired(folder: Path, names: Sequence[str]) -> Unpaired:
    """Compare the picture files in `folder`, and below it, with the file names of an index.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the folder that holds the pictures.")
    wanted = set(names)
    present = set(_files(str(folder)))
    missing = [name for name in names if name not in present]
    extra = sorted(name for name in present - wanted if name.lower().endswith(SUFFIXES))
    # the file system may know a name that the listing spells otherwise: other case, ./ in front, composed accents
    return Unpaired([name for name in missing if not _is_file(folder / name)], extra)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _files(folder: str, prefix: str = "") -> list[str]:
    """Every file below `folder`, relative to where the search began; links to folders are not followed."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, f"{prefix}{entry.name}/")
            elif not entry.name.startswith("."):
                found.append(prefix + entry.name)
    return found
