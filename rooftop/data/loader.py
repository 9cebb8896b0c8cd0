"""Batches out of loader processes, through memory that is shared once and written to again and again.

PyTorch makes new shared memory for each tensor and sends its descriptor over a socket: 0.3 ms for a picture of 300 x
300 px, as much as to decode it. Here each process has a few slabs, mapped before it is forked, and sends where to look.
"""

import mmap
import multiprocessing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from rooftop.errors import RooftopError

Form = Mapping[str, tuple[tuple[int, ...], str]]  # shape and dtype of each array
PREFETCH = 2  # batches that are asked of a process ahead of time
MOST = 64 * 2**20  # bytes of a slab; larger batches go PyTorch's way, which holds no memory between them
_ALIGN = 64


@dataclass(frozen=True)
class Parcel:
    """Where a batch lies: its first byte, and shape and dtype of the arrays that follow."""

    start: int
    form: Form


class Slabs:
    """Shared memory for the batches of some processes, which have to be forked later.

    A process writes its slabs in turn. It is asked for a batch `PREFETCH` ahead at most, so that with one slab more the
    batch that was handed over last stays untouched until the next is asked for, and by then it was copied.

    Args:
        workers: processes.
        size: bytes of the largest batch.
    """

    def __init__(self, workers: int, size: int) -> None:
        self._size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, workers * (PREFETCH + 1) * self._size)
        self._turns = cycle(range(PREFETCH + 1))

    def parcel(self, form: Form) -> Parcel | None:
        """Take the next slab of this loader process; None if that is not large enough, or this is the main process."""
        worker = get_worker_info()
        if worker is None or _bytes(form) > self._size:
            return None
        return Parcel((worker.id * (PREFETCH + 1) + next(self._turns)) * self._size, form)

    def arrays(self, parcel: Parcel) -> dict[str, NDArray[Any]]:
        """The memory of a parcel, to be written or read."""
        found, start = {}, parcel.start
        for name, (shape, dtype) in parcel.form.items():
            count = int(np.prod(shape))
            found[name] = np.frombuffer(self._memory, dtype, count, start).reshape(shape)
            start += _aligned(count * np.dtype(dtype).itemsize)
        return found

    def open(self, parcel: Parcel, *, pin: bool) -> dict[str, Tensor]:
        """Copy a batch out of its slab; into pinned memory, from which it travels to a GPU while that works."""
        batch = {}
        for name, array in self.arrays(parcel).items():
            there = torch.from_numpy(array)
            batch[name] = torch.empty(there.shape, dtype=there.dtype, pin_memory=pin).copy_(there)
        return batch


class SlabLoader(DataLoader[dict[str, Any]]):
    """A loader whose processes hand batches over in slabs.

    What is wrong with a picture is raised as if no process lay between.

    Args:
        slabs: that `collate_fn` writes to; None: everything goes PyTorch's way.
        pin: whether batches come in pinned memory.
        named: as of `DataLoader`.
    """

    def __init__(self, *, slabs: Slabs | None, pin: bool, **named: Any) -> None:
        super().__init__(pin_memory=pin and slabs is None, **named)
        self.slabs, self.pin = slabs, pin

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        try:
            for batch in super().__iter__():
                if self.slabs is not None and isinstance(batch, Parcel):
                    yield self.slabs.open(batch, pin=self.pin)
                else:
                    yield batch
        except RooftopError as error:
            raise _as_raised(error) from error


def make_slabs(workers: int, size: int) -> Slabs | None:
    """Slabs for batches of `size` bytes; None where processes are not forked, or batches are too large."""
    if not workers or size > MOST or multiprocessing.get_start_method() != "fork":
        return None
    return Slabs(workers, size)


def _as_raised(error: RooftopError) -> RooftopError:
    """The error that a loader process raised; PyTorch hands it on with that process's traceback as its message."""
    kind = type(error)
    return kind(str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip())


def _bytes(form: Form) -> int:
    return sum(_aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize) for shape, dtype in form.values())


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
