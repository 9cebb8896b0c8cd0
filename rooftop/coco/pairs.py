"""Picture files versus the entries of an annotation file: which of either has no partner."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rooftop.errors import DataError
from rooftop.raster.picture import SUFFIXES


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
