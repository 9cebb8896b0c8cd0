"""The output folder of a command: one folder for each run, and one run for each folder.

A name with the time of day is taken by `mkdir`: of several runs of the same second one succeeds, the others get
`<name>_2`, `<name>_3`, ... Any other name is a choice of the user. A lock keeps a second run out of a folder in use.

Ranks beyond the first work for the run of the first one: they claim and lock nothing. Lightning tells those that it
starts the folder of the first. srun and torchrun start all with one command, whose time may differ from rank to rank:
such a rank gets a temporary folder, since the first one writes all that counts (weights, scores, predictions).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rooftop.config.paths import expand_home, hydra_setting
from rooftop.errors import ConfigError
from rooftop.files import lock, unlock

LOCK = ".lock"  # file in a folder in use
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")  # of torchrun, srun and Lightning


class OutputFolder(NamedTuple):
    """The output folder of a composed configuration.

    Attributes:
        key: `hydra.run.dir` or `hydra.sweep.dir`.
        path: its value; None if a job alone can resolve it.
        timed: the name contains the time, so that each run is to get a folder of its own.
    """

    key: str
    path: Path | None
    timed: bool

    def require_writable(self) -> None:
        """Check whether the folder can be made and written to.

        Raises:
            ConfigError: a file is in the way, or the folder is not writable.
        """
        if self.path is None:
            return
        folder = self.path.absolute()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            raise ConfigError(f"{self.key}={folder}: {there} is a file; name another folder.")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ConfigError(f"{self.key}={folder}: {there} is not writable; name another folder.")


def output_folder(hydra: DictConfig, *, sweep: bool) -> OutputFolder:
    """Read the output folder from the hydra node of a composed configuration."""
    node = "sweep" if sweep else "run"
    raw = str(OmegaConf.to_container(hydra, resolve=False)[node]["dir"])  # type: ignore[call-overload, index]
    try:
        path = Path(expand_home(str(OmegaConf.select(hydra, f"{node}.dir"))))
    except OmegaConfBaseException:
        path = None
    return OutputFolder(f"hydra.{node}.dir", path, "${now:" in raw)


@contextmanager
def claimed(folder: OutputFolder) -> Iterator[list[str]]:
    """Claim the output folder until the block ends; yields the overrides that hand it to Hydra.

    Raises:
        ConfigError: another run that has not ended writes into it.
    """
    if folder.path is None:
        yield []
    elif folder.timed and not is_first_rank():
        with tempfile.TemporaryDirectory(prefix="rooftop-rank-", ignore_cleanup_errors=True) as path:
            yield [hydra_setting(folder.key, path)]
    else:
        own = _new_folder(folder.path) if folder.timed else folder.path
        with in_use(own, folder.key):
            yield [hydra_setting(folder.key, own)]


@contextmanager
def in_use(folder: Path, key: str) -> Iterator[None]:
    """Keep other runs out of a folder until the block ends.

    Raises:
        ConfigError: another run that has not ended writes into it.
    """
    if not is_first_rank():
        yield
        return
    held = lock(folder / LOCK)
    if held is None:
        raise ConfigError(
            f"{key}={folder}: another run is writing into this folder; wait until it has ended, or name another folder."
        )
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        unlock(held)


def is_first_rank() -> bool:
    """Return whether this process prints, and owns the output folder; other ranks of its run would repeat it."""
    return all(os.environ.get(name, "0") in ("", "0") for name in RANKS)


def _new_folder(path: Path) -> Path:
    """Make the folder, under the first name that no other run has taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = path.with_name(f"{path.name}_{number}") if number > 1 else path
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError
