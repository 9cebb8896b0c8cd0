"""The configuration stored in a run folder: `.hydra/config.yaml`."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from rooftop.config.check import plain
from rooftop.config.paths import shipped
from rooftop.files import atomic_write

log = logging.getLogger(__name__)
_STORED = Path(".hydra", "config.yaml")


def save_config(cfg: DictConfig, folder: Path) -> None:
    """Store the configuration of a resumed run, for the next resume."""
    stored = cfg.copy()
    stored.resume = None
    with atomic_write(folder / _STORED) as part:
        OmegaConf.save(stored, part)


def data_of_run(cfg: DictConfig, run: str) -> dict[str, Any]:
    """Return the data set to score a run on: the one of its training, unless the command line has `data=NAME`.

    Single keys of the command line (`data.root=...`) count in both cases. A run without a stored configuration, such as
    the shipped one, is scored on the data set of `conf/`.

    Args:
        cfg: configuration of the running job, with a `data` group.
        run: run folder.

    Returns:
        The `data` group as plain containers.
    """
    stored = Path(run) / _STORED
    overridden = [item.lstrip("+~").partition("=")[0] for item in HydraConfig.get().overrides.task]
    if "data" in overridden or not stored.is_file():
        return plain(cfg.data)
    own = OmegaConf.create({"data": {**plain(cfg.data), **plain(OmegaConf.load(stored).data)}})
    for key in overridden:
        if key.startswith("data."):
            OmegaConf.update(own, key, OmegaConf.select(cfg, key), merge=False)
    own.data.root = _from_training(run, shipped(own.data.root))
    log.info("data: %s in %s, as in the training of the run", own.data.name, own.data.root)
    return plain(own.data)


def _from_training(run: str, root: str) -> str:
    """Resolve a relative path from the working directory of the training, if it does not exist from here."""
    hydra_file = Path(run) / ".hydra" / "hydra.yaml"
    if Path(root).exists() or not hydra_file.is_file():
        return root
    there = Path(str(OmegaConf.load(hydra_file).hydra.runtime.cwd)) / root
    return str(there) if there.exists() else root
