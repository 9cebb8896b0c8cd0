"""Processes that share one prediction: what each is told of the others, and how they end together.

Weights and pictures never travel between them, so that all talk is small and goes over gloo, on GPUs too. A process
that fails tells the others, and all of them end: the first with the sentence, the others in silence.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import torch
import torch.distributed as dist

from rooftop.errors import ConfigError, DataError, RooftopError, SourceError

T = TypeVar("T")
_ALARM = ".failed"  # a file in the run folder, while processes end because one of them failed
_PAUSE = 0.02  # seconds between two looks whether the others have come


class Processes:
    """One process alone.

    Attributes:
        rank: number of this process; 0 is the one that writes what concerns all.
        count: of all processes.
        device: as torch names it, where this process counts.
        shows: whether this process is the one whose progress is shown.
    """

    def __init__(
        self,
        rank: int = 0,
        count: int = 1,
        device: str = "auto",
        *,
        shows: bool = True,
        watch: Callable[[], None] | None = None,
    ) -> None:
        self.rank, self.count, self.device = rank, count, device
        self.shows, self._watch = shows, watch

    def alone(self) -> "Processes":
        """This process by itself, for work of its own; it still hears when another one fails."""
        return Processes(device=self.device, shows=self.shows, watch=self.watch)

    def gather(self, item: T) -> list[T]:
        """What each process hands over, by rank; waits for all of them."""
        return [item]

    def broadcast(self, item: T) -> T:
        """What the first process hands over."""
        return self.gather(item)[0]

    def agree(self, work: Callable[[], T]) -> T:
        """Do what fails in each process if it fails in one of them, and give this one's result.

        Raises:
            DataError, SourceError: of the first process in which it failed.
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

    def watch(self) -> None:
        """Look, during long work, whether it is in vain because another process failed."""
        if self._watch:
            self._watch()


class ProcessGroup(Processes):
    """One of several processes, once their process group stands.

    Args:
        folder: of the run; that of the first process is everybody's.
        device: as torch names it.
    """

    def __init__(self, folder: Path, device: str) -> None:
        super().__init__(dist.get_rank(), dist.get_world_size(), device, shows=not dist.get_rank())
        self._parent = os.getppid()
        if not self.rank:
            (folder / _ALARM).unlink(missing_ok=True)
        self._alarm = self.broadcast(folder / _ALARM)

    def gather(self, item: T) -> list[T]:
        """What each process hands over, by rank; waits for all of them."""
        return self._meet(None, item)

    def watch(self) -> None:
        """End, if the first process is gone or another one failed."""
        self._require_parent()
        if self._alarm.exists():
            raise _AnotherFailedError

    @contextmanager
    def together(self) -> Iterator[None]:
        """Whichever process fails in the block, all leave it: the first with the error, the others with exit code 0.

        (Any other code would have Lightning kill the first before it has said why.)
        """
        try:
            yield
        except _EndedError as over:
            self._leave(over.reason)
        except Exception as error:
            if not isinstance(error, _AnotherFailedError):
                self._alarm.touch()
            try:
                self._meet(error, None)
            except _EndedError as over:
                self._leave(over.reason)
        finally:
            if not self.rank:
                self._alarm.unlink(missing_ok=True)

    def _meet(self, error: Exception | None, item: Any) -> list[Any]:
        """Wait for all, without being deaf to Ctrl-C, and exchange what there is to say."""
        heard: list[Any] = [None] * self.count
        try:
            all_here = dist.barrier(async_op=True)
            while not all_here.is_completed():
                self._require_parent()
                time.sleep(_PAUSE)
            all_here.wait()
            dist.all_gather_object(heard, (_portable(error), item))
        except RuntimeError as lost:  # they were killed, or had finished when this one failed
            gone = RooftopError("another process of this prediction is gone; run the same command again to go on.")
            raise _EndedError(gone if error is None or isinstance(error, _AnotherFailedError) else error) from lost
        for reason, _ in heard:
            if reason is not None:
                raise _EndedError(reason)
        return [item for _, item in heard]

    def _leave(self, reason: Exception) -> NoReturn:
        if self.rank:
            sys.exit(0)
        raise reason

    def _require_parent(self) -> None:
        """The first process, srun or torchrun started this one; without it nobody waits for the work."""
        if self.rank and os.getppid() != self._parent:
            sys.exit(1)


class _EndedError(Exception):
    """All processes know that the work is over, and why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _AnotherFailedError(Exception):
    """Another process failed."""


def _portable(error: Exception | None) -> Exception | None:
    """An error as another process can read it; None for one that only heard of another's."""
    if error is None or isinstance(error, _AnotherFailedError):
        return None
    if isinstance(error, RooftopError | OSError):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))


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
def launch(machines: Machines, folder: Path) -> Iterator[Processes]:
    """Start the other processes, if there are to be any; yields, in each of them, its place among all.

    Each runs this script from its first line on, as Lightning does it, and comes here too. On several machines they are
    started from outside (srun, torchrun) or with NODE_RANK and MASTER_ADDR set.

    Args:
        machines: on what they run.
        folder: of the run; that of the first process is everybody's.
    """
    if len(machines.numbers) * machines.num_nodes == 1:
        yield Processes(device=machines.device)
        return
    threads = torch.get_num_threads()
    try:
        device = _launched(machines)
        processes = ProcessGroup(folder, device)
        # Lightning shares a machine's threads out among its processes; the last bit of a sum depends on their number
        torch.set_num_threads(processes.broadcast(threads))
        with processes.together():
            yield processes
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
