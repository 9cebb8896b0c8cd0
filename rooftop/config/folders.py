"""The folder that a job writes into, looked at before Hydra makes it."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rooftop.errors import ConfigError


def require_writable(hydra: DictConfig, *, sweep: bool) -> None:
    """Make sure that the output folder of a job can be made, or written to.

    Args:
        hydra: that node of a composed configuration.
        sweep: whether it is one of several jobs.

    Raises:
        ConfigError: it cannot, for want of rights or since a file stands in the way.
    """
    key = "sweep" if sweep else "run"
    try:
        folder = Path(str(OmegaConf.select(hydra, f"{key}.dir"))).absolute()
    except OmegaConfBaseException:  # names something that is only known once the job runs
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"hydra.{key}.dir={folder}: {there} is a file; name another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"hydra.{key}.dir={folder}: {there} cannot be written to; name another folder.")
