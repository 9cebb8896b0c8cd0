"""The file names of an annotation file: checked, stored compactly, compared with the files of a folder.

A name must not lead out of its folder: annotation files are downloaded, and `../` would read any file of the disk.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arrays import Array
from rooftop.errors import DataError, brief
from rooftop.raster.picture import SUFFIXES

_PLAIN = re.compile(r"\w[\w.-]*\Z")  # nearly all names; the check of others takes a hundred times longer


def stays_inside(name: str) -> bool:
    """Whether a relative file name stays inside its folder, on POSIX systems and on Windows."""
    if _PLAIN.match(name):
        return True
    if not name or "\0" in name:
        return False
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    leaves = ".." in windows.parts or posix.is_absolute() or bool(windows.anchor)
    return not leaves and bool(posix.name)


def picture_path(folder: Path, name: str) -> Path:
    """Return the path of a picture.

    Args:
        folder: of the pictures.
        name: as in the annotation file, `/` between parts.

    Raises:
        DataError: the file lies outside `folder`, by its name or by a symbolic link.
    """
    path = folder / name
    if _PLAIN.match(name) and not os.path.islink(path):  # noqa: PTH114 (Path.is_symlink fails on too long names)
        return path
    # realpath, since Path.resolve fails on circular links
    if not stays_inside(name) or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise DataError(
            f"{brief(repr(name))} lies outside {folder}; copy the picture into that folder and correct its file_name."
        )
    return path


class Names(Sequence[str]):
    """File names stored as one array of UTF-8 bytes, and decoded on access."""

    def __init__(self, text: Array, first: Array) -> None:
        """Wrap the arrays of `pack_names`."""
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
    """Convert N names to the arrays of `Names`.

    Returns:
        uint8, the UTF-8 bytes of all names joined; int64 (N + 1,), the offset of each name, and the end.
    """
    texts = [name.encode() for name in names]
    first = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), first


def plain_name(name: str) -> str:
    """Return a file name in its shortest spelling: `a.png` for `./a.png`."""
    return name if _PLAIN.match(name) else str(PurePosixPath(name))


def repeated(names: Sequence[str]) -> dict[str, int]:
    """Find the files with several entries; returns the number of entries by name. `./a.png` and `a.png` are one."""
    entries = Counter(map(plain_name, names))
    return {name: count for name, count in entries.items() if count > 1}


@dataclass(frozen=True)
class Unpaired:
    """Differences between a folder and an annotation file; names have `/` between parts.

    Attributes:
        missing: entries without a file, in the order of the annotation file.
        extra: picture files without an entry, sorted.
    """

    missing: Sequence[str]
    extra: Sequence[str]


def unpaired(folder: Path, names: Sequence[str]) -> Unpaired:
    """Compare the picture files in `folder` and its subfolders with the file names of an index.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of the pictures.")
    wanted = set(names)
    present = set(_files(str(folder)))
    missing = [name for name in names if name not in present]
    extra = sorted(name for name in present - wanted if name.lower().endswith(SUFFIXES))
    # the same file may have another spelling in the listing: other case, ./ in front, composed accents
    return Unpaired([name for name in missing if not _is_file(folder / name)], extra)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _files(folder: str, prefix: str = "") -> list[str]:
    """All visible files below `folder`, relative to the first folder; links to folders are not followed."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, f"{prefix}{entry.name}/")
            else:
                found.append(prefix + entry.name)
    return found
