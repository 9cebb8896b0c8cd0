"""What a prediction runs on: one process a device, started by Lightning's engine where there are several."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from rooftop.errors import ConfigError
from rooftop.inference.ranks import Ranks, Several

_GPUS = ("gpu", "cuda", "mps")
_PATIENCE = timedelta(days=30)  # one process may have much more to do than another; who is gone is noticed at once


@dataclass(frozen=True)
class Machines:
    """Where the network runs, in the words of Lightning's Trainer.

    Attributes:
        accelerator: cpu, gpu (or cuda, mps) or auto.
        devices: how many on each machine, which of them ([0, 2]), or auto for all.
        num_nodes: machines.
        strategy: auto or ddp; both mean one process a device.
    """

    accelerator: str
    devices: Any
    num_nodes: int
    strategy: str

    def __post_init__(self) -> None:
        if self.accelerator not in ("auto", "cpu", *_GPUS):
            raise ConfigError(f"trainer.accelerator={self.accelerator}: choose cpu, gpu or auto.")
        if self.accelerator in _GPUS and self.kind == "cpu":
            raise ConfigError(f"trainer.accelerator={self.accelerator}: torch finds no GPU here; choose cpu or auto.")
        if self.strategy not in ("auto", "ddp"):
            raise ConfigError(f"trainer.strategy={self.strategy}: choose auto or ddp, which mean the same here.")
        if self.num_nodes < 1:
            raise ConfigError(f"trainer.num_nodes={self.num_nodes} must be 1 or more.")
        if not self.numbers:
            raise ConfigError(
                f"trainer.devices={self.devices}: give how many, which ([0,2]), or auto; "
                f"this machine has {torch.cuda.device_count()} GPUs."
            )

    @property
    def kind(self) -> str:
        """The accelerator as torch names it: cpu, cuda or mps."""
        if self.accelerator != "cpu" and torch.cuda.is_available():
            return "cuda"
        return "mps" if self.accelerator in _GPUS and torch.backends.mps.is_available() else "cpu"

    @property
    def device(self) -> str:
        """The first device as torch names it; auto where the predictor may choose."""
        if self.accelerator == "auto" and self.numbers == [0]:
            return "auto"
        return f"cuda:{self.numbers[0]}" if self.kind == "cuda" else self.kind

    @property
    def numbers(self) -> list[int]:
        """Numbers of the devices on this machine; none if `devices` names what is not there."""
        there = torch.cuda.device_count() if self.kind == "cuda" else 1
        text = str(self.devices).replace(" ", "")
        if text in ("auto", "-1"):
            return [*range(there)]
        listed = [part for part in text.strip("[]").split(",") if part]
        if not all(part.isdecimal() for part in listed):
            return []
        found = [int(part) for part in listed] if "," in text or "[" in text else [*range(int(text))]
        return found if self.kind == "cpu" or {*found} <= {*range(there)} else []


@contextmanager
def started(machines: Machines, folder: Path) -> Iterator[Ranks]:
    """Start the other processes, if there are to be any; yields, in each of them, its place among all.

    Each runs this script from its first line on, as Lightning does it, and comes here too. On several machines they are
    started from outside (srun, torchrun) or with NODE_RANK and MASTER_ADDR set.

    Args:
        machines: on what they run.
        folder: of the run; that of the first process is everybody's.
    """
    if len(machines.numbers) * machines.num_nodes == 1:
        yield Ranks(device=machines.device)
        return
    threads = torch.get_num_threads()
    try:
        device = _launched(machines)
        ranks = Several(folder, device)
        # Lightning shares a machine's threads out among its processes; the last bit of a sum depends on their number
        torch.set_num_threads(ranks.share(threads))
        with ranks.together():
            yield ranks
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _launched(machines: Machines) -> str:
    """Start the others and let them find one another; the device of this process."""
    from lightning_fabric import Fabric  # some seconds, which one process alone need not wait
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.strategies.launchers").setLevel(logging.INFO)  # says that a process was killed
    try:
        fabric = Fabric(
            accelerator=machines.kind,
            devices=machines.numbers if machines.kind == "cuda" else len(machines.numbers),
            num_nodes=machines.num_nodes,
            strategy=DDPStrategy(process_group_backend="gloo", timeout=_PATIENCE),
        )
        fabric.launch()
    except (MisconfigurationException, ValueError) as error:  # as where SLURM gave another number of tasks
        raise ConfigError(f"trainer: {str(error).strip().splitlines()[0]}") from error
    return str(fabric.device)
