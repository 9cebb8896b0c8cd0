"""Errors a user can fix, as one small tree.

RooftopError            base class; scripts print its message and exit with its code, 2 unless noted
├── ConfigError         a key or a value of the configuration
├── DataError           pictures, masks or annotations
├── RunError            a run folder: card, weights, checkpoints
├── SourceError         a picture or raster handed to prediction
└── FaultError          a check worked and found faults; exit code 1

Each message is one sentence with the file, the annotation id or the key, and the remedy.
"""


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
