"""The processes of one prediction: one a device, started by Lightning Fabric where there are several.

All other modules see only `Processes`: my share of the work, wait for all, the first one writes. One process alone is
the default, and does none of the talking.

Weights and pictures never travel between processes, so that all messages are small and go over gloo, on GPUs too. If
one process fails, all end: the first with the error message, the others without one.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist

from rooftop.errors import ConfigError, DataError, RooftopError, SourceError

T = TypeVar("T")
_GPUS = ("gpu", "cuda", "mps")
_TIMEOUT = timedelta(days=30)  # one process may have much more to do than another; a lost process is noticed at once
_ALARM = ".failed"  # file in the output folder, while all processes end because one failed
_PAUSE = 0.02  # seconds between two checks whether all processes have arrived


def _exchange_alone(item: Any) -> list[Any]:
    return [item]


def _watch_nobody() -> None:
    pass


@dataclass(frozen=True)
class Processes:
    """This process among the processes of one prediction; the defaults are one process alone.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
        device: of this process, in torch's words.
        shows: this process shows progress.
        exchange: hand over an item, wait for all, return the items of all by rank.
        watch: called during long work; ends this process if another one failed.
    """

    rank: int = 0
    count: int = 1
    device: str = "auto"
    shows: bool = True
    exchange: Callable[[Any], list[Any]] = _exchange_alone
    watch: Callable[[], None] = _watch_nobody

    @property
    def first(self) -> bool:
        """Report whether this process writes and logs for all."""
        return self.rank == 0

    def alone(self) -> "Processes":
        """Return this process by itself, for work of its own; it still ends if another one fails."""
        return Processes(device=self.device, shows=self.shows, watch=self.watch)

    def mine(self, items: Sequence[T]) -> list[T]:
        """Return every `count`-th item: the share of this process in work for one process each."""
        return [*items[self.rank :: self.count]]

    def part(self, items: Sequence[int]) -> list[int]:
        """Return one of `count` contiguous, about equal parts of the items of the first process."""
        mine: list[int] = np.array_split(self.broadcast(items), self.count)[self.rank].tolist()
        return mine

    def gather(self, item: T) -> list[T]:
        """Wait for all processes, and return the items of all by rank."""
        return self.exchange(item)

    def broadcast(self, item: T) -> T:
        """Wait for all processes, and return the item of the first."""
        return self.gather(item)[0]

    def wait(self) -> None:
        """Wait for all processes."""
        self.gather(None)

    def agree(self, work: Callable[[], T]) -> T:
        """Do work in each process; if it fails in one process, it fails in all.

        Raises:
            DataError, SourceError: of the first process with a failure.
        """
        result, problem = None, None
        try:
            result = work()
        except (DataError, SourceError) as error:
            problem = error
        for found in self.gather(problem):
            if found:
                raise found
        return cast(T, result)


class _Group:
    """Messages and failures between several processes, over a process group of torch.

    Args:
        folder: output folder; that of the first process holds the alarm file.
    """

    def __init__(self, folder: Path) -> None:
        self._rank, self._count, self._parent = dist.get_rank(), dist.get_world_size(), os.getppid()
        if not self._rank:
            (folder / _ALARM).unlink(missing_ok=True)
        self._alarm: Path = self.exchange(folder / _ALARM)[0]

    def processes(self, device: str) -> Processes:
        """Return this process as all other modules see it."""
        return Processes(self._rank, self._count, device, not self._rank, self.exchange, self.watch)

    def exchange(self, item: Any) -> list[Any]:
        """Hand over an item, wait for all, return the items of all by rank."""
        return self._meet(None, item)

    def watch(self) -> None:
        """End this process if the first one is gone or another one failed."""
        self._require_parent()
        if self._alarm.exists():
            raise _AnotherFailedError

    @contextmanager
    def together(self) -> Iterator[None]:
        """If one process fails in the block, all leave it: the first with the error, the others with exit code 0.

        (At any other code Lightning kills the first process before it has printed the error.)
        """
        try:
            yield
        except _EndedError as ended:
            self._leave(ended.reason)
        except Exception as error:
            if not isinstance(error, _AnotherFailedError):
                self._alarm.touch()
            try:
                self._meet(error, None)
            except _EndedError as ended:
                self._leave(ended.reason)
        finally:
            if not self._rank:
                self._alarm.unlink(missing_ok=True)

    def _meet(self, error: Exception | None, item: Any) -> list[Any]:
        """Wait for all processes, open to Ctrl-C meanwhile, and exchange errors and items."""
        met: list[Any] = [None] * self._count
        try:
            all_here = dist.barrier(async_op=True)
            while not all_here.is_completed():
                self._require_parent()
                time.sleep(_PAUSE)
            all_here.wait()
            dist.all_gather_object(met, (_portable(error), item))
        except RuntimeError as lost:  # the others were killed, or had finished before this one failed
            gone = RooftopError("another process of this prediction ended early; run the same command again to resume.")
            raise _EndedError(gone if error is None or isinstance(error, _AnotherFailedError) else error) from lost
        for reason, _ in met:
            if reason is not None:
                raise _EndedError(reason)
        return [item for _, item in met]

    def _leave(self, reason: Exception) -> NoReturn:
        if self._rank:
            sys.exit(0)
        raise reason

    def _require_parent(self) -> None:
        """Exit if the parent (the first process, srun or torchrun) is gone: nobody waits for the result."""
        if self._rank and os.getppid() != self._parent:
            sys.exit(1)


class _EndedError(Exception):
    """All processes know that the prediction ends, and why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _AnotherFailedError(Exception):
    """Another process failed."""


def _portable(error: Exception | None) -> Exception | None:
    """Make an error readable in another process; None for the echo of another process's error."""
    if error is None or isinstance(error, _AnotherFailedError):
        return None
    if isinstance(error, RooftopError | OSError):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))


@dataclass(frozen=True)
class Machines:
    """Devices of a prediction, in the words of Lightning's Trainer.

    Attributes:
        accelerator: cpu, gpu (or cuda, mps) or auto.
        devices: number on each machine, a list ([0, 2]), or auto for all.
        num_nodes: number of machines.
        strategy: auto or ddp; both mean one process a device.

    Raises:
        ConfigError: no such device here, or an unknown value; the sentence names the key.
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
            raise ConfigError(f"trainer.strategy={self.strategy}: choose auto or ddp; both mean the same here.")
        if self.num_nodes < 1:
            raise ConfigError(f"trainer.num_nodes={self.num_nodes} must be 1 or more.")
        if not self.numbers:
            raise ConfigError(
                f"trainer.devices={self.devices}: give a number, a list ([0,2]) or auto; "
                f"this machine has {torch.cuda.device_count()} GPUs."
            )

    @property
    def kind(self) -> str:
        """Accelerator in torch's words: cpu, cuda or mps."""
        if self.accelerator != "cpu" and torch.cuda.is_available():
            return "cuda"
        return "mps" if self.accelerator in _GPUS and torch.backends.mps.is_available() else "cpu"

    @property
    def device(self) -> str:
        """First device in torch's words; auto: the predictor chooses."""
        if self.accelerator == "auto" and self.numbers == [0]:
            return "auto"
        return f"cuda:{self.numbers[0]}" if self.kind == "cuda" else self.kind

    @property
    def numbers(self) -> list[int]:
        """Numbers of the devices on this machine; empty if `devices` names a missing one."""
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
def launch(machines: Machines, folder: Path) -> Iterator[Processes]:
    """Start the other processes, if any; yields in each process its own `Processes`.

    As usual in Lightning, each process runs the script from its first line. On several machines they are started from
    outside (srun, torchrun) or with NODE_RANK and MASTER_ADDR set.

    Args:
        machines: devices to run on.
        folder: output folder; that of the first process counts.
    """
    if len(machines.numbers) * machines.num_nodes == 1:
        yield Processes(device=machines.device)
        return
    threads = torch.get_num_threads()
    try:
        device = _launch_fabric(machines)
        group = _Group(folder)
        processes = group.processes(device)
        # Lightning divides the threads of a machine among its processes; the last bit of a sum depends on their number
        torch.set_num_threads(processes.broadcast(threads))
        with group.together():
            yield processes
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _launch_fabric(machines: Machines) -> str:
    """Start the other processes and their process group; returns the device of this one."""
    from lightning_fabric import Fabric  # late: takes seconds, of no use to one process
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.strategies.launchers").setLevel(logging.INFO)  # reports a killed process
    try:
        fabric = Fabric(
            accelerator=machines.kind,
            devices=machines.numbers if machines.kind == "cuda" else len(machines.numbers),
            num_nodes=machines.num_nodes,
            strategy=DDPStrategy(process_group_backend="gloo", timeout=_TIMEOUT),
        )
        fabric.launch()
    except (MisconfigurationException, ValueError) as error:  # e.g. another number of SLURM tasks
        raise ConfigError(f"trainer: {str(error).strip().splitlines()[0]}") from error
    return str(fabric.device)
