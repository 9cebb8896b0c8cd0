"""Paths as a person types them, and those of what comes with the project."""

import re
import shlex
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"
_SHIPPED = ("run", "data.root", "callbacks.start.run")  # keys whose values may be of the project
_PLAIN = re.compile(r"[\w/.+@%:-]+\Z", re.ASCII)  # what Hydra reads without quotes


def shipped(path: str) -> str:
    """The path itself; one that leads nowhere from the current folder but somewhere from the project's, as that.

    So that data and weights that come with the project are found from wherever a script is started.
    """
    return str(PROJECT / path) if not Path(path).exists() and (PROJECT / path).exists() else path


def with_shipped(cfg: DictConfig) -> DictConfig:
    """A configuration whose paths of the project are found."""
    with open_dict(cfg):
        for key in _SHIPPED:
            value = OmegaConf.select(cfg, key)
            if isinstance(value, str):
                OmegaConf.update(cfg, key, shipped(value))
    return cfg


def shell_setting(key: str, value: object) -> str:
    """A setting as it is typed in a shell: quoted for the shell, and for Hydra where that could not read it."""
    text = str(value)
    if _PLAIN.match(text):
        return f"{key}={text}"
    escaped = text.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')
