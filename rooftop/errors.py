"""What can go wrong, as one small tree.

RooftopError            anything a person can mend; the scripts print its one sentence and exit with its code, 2
├── ConfigError         a key or a value of the configuration
├── DataError           pictures, masks or annotations
├── RunError            a run folder: card, weights, checkpoints
├── SourceError         a picture or raster handed to prediction
└── FaultError          what was to be checked was, and has faults: code 1

Each message is one sentence that names the file, the annotation id or the key, and the remedy.
"""


class RooftopError(Exception):
    """A wrong input; the message names it and the remedy. exit_code: of the script that it ends."""

    exit_code = 2


class ConfigError(RooftopError):
    """A key or a value of the configuration is wrong."""


class DataError(RooftopError):
    """Pictures, masks or annotations cannot be used as they are."""


class RunError(RooftopError):
    """A run folder is incomplete or holds what must not be loaded."""


class SourceError(RooftopError):
    """A picture or raster handed to prediction cannot be read."""


class FaultError(RooftopError):
    """A check found faults, which is what it was for."""

    exit_code = 1
