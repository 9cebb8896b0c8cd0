"""What a run recorded of the configuration that it was trained with."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from rooftop.config.check import plain
from rooftop.config.paths import shipped
from rooftop.files import atomic_write

log = logging.getLogger(__name__)
_RECORD = Path(".hydra", "config.yaml")


def keep_settings(cfg: DictConfig, folder: Path) -> None:
    """Record the settings with which a run goes on, so that it goes on with them again after the next stop."""
    kept = cfg.copy()
    kept.resume = None
    with atomic_write(folder / _RECORD) as part:
        OmegaConf.save(kept, part)


def data_of_run(cfg: DictConfig, run: str) -> dict[str, Any]:
    """The data set to score a run on, as plain containers: that of its training, unless `data=` names another.

    Single keys (`data.root=...`) count in both cases. A run without a recorded configuration, as those that ship, is
    scored on what `conf/` says.

    Args:
        cfg: the configuration of the running job, with a `data` group.
        run: its run folder.
    """
    recorded = Path(run) / _RECORD
    typed = [item.lstrip("+~").partition("=")[0] for item in HydraConfig.get().overrides.task]
    if "data" in typed or not recorded.is_file():
        return plain(cfg.data)
    own = OmegaConf.create({"data": {**plain(cfg.data), **plain(OmegaConf.load(recorded).data)}})
    for key in typed:
        if key.startswith("data."):
            OmegaConf.update(own, key, OmegaConf.select(cfg, key), merge=False)
    own.data.root = _from_training(run, shipped(own.data.root))
    log.info("data: %s in %s, as in the training of the run", own.data.name, own.data.root)
    return plain(own.data)


def _from_training(run: str, root: str) -> str:
    """A path that leads nowhere from here as the training saw it, from the folder that it was started in."""
    note = Path(run) / ".hydra" / "hydra.yaml"
    if Path(root).exists() or not note.is_file():
        return root
    there = Path(str(OmegaConf.load(note).hydra.runtime.cwd)) / root
    return str(there) if there.exists() else root
