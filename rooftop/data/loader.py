"""Batches from loader processes through shared memory, allocated once and reused.

PyTorch allocates shared memory for each tensor and sends its descriptor over a socket: 0.3 ms for a picture of 300
x 300 px, as long as decoding. Here each process has a few slabs, mapped before the fork, and sends only positions.
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
    """Position of a batch in shared memory: its first byte, and shape and dtype of its arrays."""

    start: int
    form: Form


class Slabs:
    """Shared memory for the batches of processes forked later.

    A process writes its slabs in turn, at most `PREFETCH` batches ahead. With one slab more, the last batch stays
    untouched until the next request; by then it has been copied.

    Args:
        workers: processes.
        size: bytes of the largest batch.
    """

    def __init__(self, workers: int, size: int) -> None:
        self._size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, workers * (PREFETCH + 1) * self._size)
        self._turns = cycle(range(PREFETCH + 1))

    def parcel(self, form: Form) -> Parcel | None:
        """Take the next slab of this loader process; None if it is too small, or in the main process."""
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
        """Copy a batch out of its slab, into pinned memory if wanted: the copy to a GPU is then asynchronous."""
        batch = {}
        for name, array in self.arrays(parcel).items():
            there = torch.from_numpy(array)
            batch[name] = torch.empty(there.shape, dtype=there.dtype, pin_memory=pin).copy_(there)
        return batch


class SlabLoader(DataLoader[dict[str, Any]]):
    """DataLoader with batches in slabs.

    Errors about pictures are raised as in the main process.

    Args:
        slabs: memory for `collate_fn`; None: PyTorch's own way.
        pin: return batches in pinned memory.
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
    """Make slabs for batches of `size` bytes; None without fork, or for too large batches."""
    if not workers or size > MOST or multiprocessing.get_start_method() != "fork":
        return None
    return Slabs(workers, size)


def _as_raised(error: RooftopError) -> RooftopError:
    """Return the original error of a loader process; PyTorch wraps it, with the traceback as message."""
    kind = type(error)
    return kind(str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip())


def _bytes(form: Form) -> int:
    return sum(_aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize) for shape, dtype in form.values())


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
