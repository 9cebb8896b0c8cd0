"""The folder tree a data set is expected to have: drawn in messages, made empty on request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rooftop.errors import DataError

PATHS = ("images", "annotations", "masks")
Parts = Mapping[str, Mapping[str, str | None] | None]


def complete(part: Mapping[str, Any]) -> dict[str, Any]:
    """A split or a part of a mix with every path that it may name, None where the command line left it out."""
    return {**dict.fromkeys(PATHS), **part}


def check_layout(root: Path, parts: Parts) -> None:
    """Make sure that every folder and file which the splits name is there.

    Args:
        root: of the data set.
        parts: for each split the relative paths `images` and `annotations` or `masks`.

    Raises:
        DataError: something is missing; the message draws the expected tree.
    """
    missing = [path for path in _paths(parts) if not (root / path).exists()]
    empty = [part["images"] for part in parts.values() if part and part["images"] and _is_empty(root / part["images"])]
    if not missing and not empty:
        return
    what = f"{missing[0]} is missing" if missing else f"{empty[0]} is empty"
    raise DataError(
        f"{root}: {what}; expected is this tree (make_masks.py with init=true makes it):\n{draw(root, parts)}"
    )


def make_layout(root: Path, parts: Parts) -> list[Path]:
    """Make the empty folder tree into which a person copies pictures and annotations; returns the folders."""
    folders = []
    for path in _paths(parts):
        folder = root / path if not _is_file(path) else (root / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        folders.append(folder)
    return sorted(set(folders))


def draw(root: Path, parts: Parts) -> str:
    """The expected tree as text, with what belongs where."""
    lines = [f"{root}/"]
    for split, part in parts.items():
        for key, path in (part or {}).items():
            if path:
                hint = {"images": "the pictures", "masks": "one mask PNG a picture, same stem"}.get(key, "MS-COCO json")
                name = path if _is_file(path) else f"{path}/"
                lines.append(f"├── {name:<32} {split}: {hint}")
    return "\n".join([*lines[:-1], lines[-1].replace("├", "└")])


def _paths(parts: Parts) -> list[str]:
    return [path for part in parts.values() if part for path in part.values() if path]


def _is_file(path: str) -> bool:
    return Path(path).suffix == ".json"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None
