"""Atomic writes (write beside, then rename) and JSON files."""

import errno
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rooftop.errors import RooftopError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    The temporary name keeps only the suffix: writers choose the format by it. The rest may be too long to extend, or
    look like an address to some writers.

    Raises:
        RooftopError: the disk is full, or the name is too long; an old file at `path` stays untouched.
    """
    part = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        exists, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise kind(f"{str(path)[:200]}: cannot be opened ({error.strerror}); correct the path.") from error
    if not exists:
        raise kind(f"{path}: no such file.")
    if not is_file:
        raise kind(f"{path}: a folder, pipe or device; give a file.")


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
