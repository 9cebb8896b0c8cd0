"""The settings of a call from Python: those of a script in `conf/`, with the given values, checked as when typed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from rooftop.config.check import check, plain
from rooftop.config.command_line import composed
from rooftop.config.paths import CONF


def settings_of(script: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked settings of a script as plain containers.

    Args:
        script: its root configuration is `conf/<script>.yaml`.
        given: values by key; a text chooses a file of a group (`polygons="simple"`), a mapping changes keys in it.

    Raises:
        ConfigError: unknown key (with the nearest known one), wrong choice or value.
    """
    groups = {key: value for key, value in given.items() if isinstance(value, str) and (CONF / key).is_dir()}
    with _hydra_of_caller_kept():
        cfg = _defaults(script, tuple(f"{key}={value}" for key, value in groups.items())).copy()
        with open_dict(cfg):
            for key, value in given.items():
                if key not in groups:
                    OmegaConf.update(cfg, key, _plain(value), force_add=True)
        return plain(check(cfg, script))


def data_of(choice: str, **given: Any) -> dict[str, Any]:
    """Return a data set of `conf/data/` as plain containers.

    Args:
        choice: name of the file.
        given: keys that replace those of the file.

    Raises:
        ConfigError: no such data set, or a wrong value.
    """
    keys = {f"data.{key}": value for key, value in given.items()}
    # the settings of make_masks.py need nothing beside a data set
    return settings_of("make_masks", {"data": choice, **keys})["data"]  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """Turn paths and NumPy's numbers into values that a configuration can hold."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


@lru_cache
def _defaults(script: str, choices: tuple[str, ...]) -> DictConfig:
    """Compose a configuration; this takes a third of a second, a call of a loop over pictures only once."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = composed(script, [*choices])
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


@contextmanager
def _hydra_of_caller_kept() -> Iterator[None]:
    """Leave the Hydra of a calling program as it is; paths are those of the working directory."""
    program, job = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = program, job
