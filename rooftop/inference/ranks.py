"""Processes that share one prediction: what each is told of the others, and how they end together.

Weights and pictures never travel between them, so that all talk is small and goes over gloo, on GPUs too. A process
that fails tells the others, and all of them end: the first with the sentence, the others in silence.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import torch.distributed as dist

from rooftop.errors import DataError, RooftopError, SourceError

T = TypeVar("T")
_ALARM = ".failed"  # a file in the run folder, while processes end because one of them failed
_PAUSE = 0.02  # seconds between two looks whether the others have come


class Ranks:
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

    def alone(self) -> "Ranks":
        """This process by itself, for work of its own; it still hears when another one fails."""
        return Ranks(device=self.device, shows=self.shows, watch=self.watch)

    def gather(self, item: T) -> list[T]:
        """What each process hands over, by rank; waits for all of them."""
        return [item]

    def share(self, item: T) -> T:
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


class Several(Ranks):
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
        self._alarm = self.share(folder / _ALARM)

    def gather(self, item: T) -> list[T]:
        """What each process hands over, by rank; waits for all of them."""
        return self._meet(None, item)

    def watch(self) -> None:
        """End, if the first process is gone or another one failed."""
        self._require_parent()
        if self._alarm.exists():
            raise _InVainError

    @contextmanager
    def together(self) -> Iterator[None]:
        """Whichever process fails in the block, all leave it: the first with the error, the others with exit code 0.

        (Any other code would have Lightning kill the first before it has said why.)
        """
        try:
            yield
        except _OverError as over:
            self._leave(over.reason)
        except Exception as error:
            if not isinstance(error, _InVainError):
                self._alarm.touch()
            try:
                self._meet(error, None)
            except _OverError as over:
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
            raise _OverError(gone if error is None or isinstance(error, _InVainError) else error) from lost
        for reason, _ in heard:
            if reason is not None:
                raise _OverError(reason)
        return [item for _, item in heard]

    def _leave(self, reason: Exception) -> NoReturn:
        if self.rank:
            sys.exit(0)
        raise reason

    def _require_parent(self) -> None:
        """The first process, srun or torchrun started this one; without it nobody waits for the work."""
        if self.rank and os.getppid() != self._parent:
            sys.exit(1)


class _OverError(Exception):
    """All processes know that the work is over, and why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _InVainError(Exception):
    """Another process failed."""


def _portable(error: Exception | None) -> Exception | None:
    """An error as another process can read it; None for one that only heard of another's."""
    if error is None or isinstance(error, _InVainError):
        return None
    if isinstance(error, RooftopError | OSError):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))
