"""What an audit found already, kept so that one that was stopped goes on; plain values, no code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rooftop.files import atomic_write

Result = TypeVar("Result")


def kept(path: Path, form: type[Result], work: Callable[[], Result]) -> Result:
    """Read a result of an earlier run, or do the work and write it down.

    Args:
        path: of the file, whose name says all that the result depends on.
        form: of the result: a dataclass of plain fields and dataclasses.
        work: makes it.
    """
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=form, dec_hook=_made)
    except (OSError, msgspec.DecodeError):
        result = work()
        with atomic_write(path) as part:
            part.write_bytes(msgspec.msgpack.encode(result))
        return result


def _made(form: type[Any], value: Any) -> Any:
    """A `Counter`, out of what it is written as."""
    return form(value)
