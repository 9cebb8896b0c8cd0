"""Errors a user can fix, as one small tree.

RooftopError            base class; scripts print its message and exit with its code, 2 unless noted
├── ConfigError         a key or a value of the configuration
├── DataError           pictures, masks or annotations
├── RunError            a run folder: card, weights, checkpoints
├── SourceError         a picture or raster handed to prediction
└── FaultError          a check worked and found faults; exit code 1

Each message is one sentence with the file, the annotation id or the key, and the remedy. Values out of foreign files
are shortened, so that it stays one.
"""

from collections.abc import Sequence


class RooftopError(Exception):
    """A wrong input; the message contains its name and the remedy.

    Attributes:
        exit_code: exit code of the script.
    """

    exit_code = 2


class ConfigError(RooftopError):
    """A key or a value of the configuration is wrong."""


class DataError(RooftopError):
    """Pictures, masks or annotations are broken, missing or inconsistent."""


class RunError(RooftopError):
    """A run folder is incomplete or unsafe to load."""


class SourceError(RooftopError):
    """A picture or raster for prediction cannot be read."""


class FaultError(RooftopError):
    """A check has found faults, its purpose; exit code 1."""

    exit_code = 1


def brief(value: object, most: int = 60) -> str:
    """Shorten a foreign value for a message: at most `most` characters, none of them a line break."""
    text = str(value)
    text = text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[3 - most // 3 :]}"
    return text if text.isprintable() else ascii(text)[1:-1]


def first_names(names: Sequence[object], most: int = 5) -> str:
    """Join the first names of a list, shortened, and the number of the others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(brief(name) for name in names[:most]) + more
