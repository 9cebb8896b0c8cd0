"""Paths in settings: `~`, files of the project, and quoting for Hydra and the shell."""

import os
import re
import shlex
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"
_SHIPPED_KEYS = ("run", "data.root", "callbacks.start.run")  # their values may be paths inside the project
_PLAIN = re.compile(r"[\w/.+@%:-]+\Z", re.ASCII)  # Hydra reads these characters without quotes


def shipped(path: str) -> str:
    """Find a file or folder of the project from any working directory.

    Returns:
        The path inside the project, if it exists only there; otherwise the path itself.
    """
    return str(PROJECT / path) if not Path(path).exists() and (PROJECT / path).exists() else path


def with_shipped(cfg: DictConfig) -> DictConfig:
    """Replace paths of a configuration by `shipped` ones, in place."""
    with open_dict(cfg):
        for key in _SHIPPED_KEYS:
            value = OmegaConf.select(cfg, key)
            if isinstance(value, str):
                OmegaConf.update(cfg, key, shipped(value))
    return cfg


def expand_home(path: str) -> str:
    """Replace `~` or `~user` at the start of a path by the home folder, as a shell does."""
    return os.path.expanduser(path)  # noqa: PTH111 (an address, https://..., must stay as it is)


def hydra_setting(key: str, value: object) -> str:
    """Format `key=value` for Hydra, with quotes if it needs them."""
    text = str(value)
    if _PLAIN.match(text):
        return f"{key}={text}"
    escaped = re.sub(r"(\\+)(?=$|')", r"\1\1", text).replace("'", r"\'")
    return f"{key}='{escaped}'"


def shell_setting(key: str, value: object) -> str:
    """Format `key=value` for the shell, with the quotes needed by the shell and by Hydra."""
    text = str(value)
    if _PLAIN.match(text):
        return f"{key}={text}"
    escaped = text.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')
