"""Files appear whole or not at all: write beside, then rename."""

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
    """Yield a temporary path beside `path`; rename it onto `path` if the block ends well, else remove it.

    The temporary name keeps the suffix, since writers choose the format by it, but nothing else of a name that may be
    as long as names can be, and hold what some writers take for an address.

    Raises:
        RooftopError: no space left on the disk, or a name that is too long for it; what stood at `path` before is
            untouched.
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


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented UTF-8 JSON, whole or not at all; NaN is refused, since JSON has none."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RooftopError: the file is missing or no JSON; the sentence names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RooftopError(f"{path}: no such file.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RooftopError(f"{path}: not valid JSON ({error}); write or download it again.") from error
