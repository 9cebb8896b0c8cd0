"""The same work on many items, in several processes, in order and at constant memory."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import current_process, get_context
from typing import Any, TypeVar

from rooftop.processes import end_with_parent

T = TypeVar("T")
R = TypeVar("R")
_ALONE = 200  # items that are done before other processes are worth starting
_BATCH = 32  # items that are sent together
_AHEAD = 2  # batches that wait for each process


def parallel_map(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Parallel map: yield work(item) for each item, in order; many items use all cores of this process.

    Processes are forked: `work` may be a closure over open files; only items and results are sent.

    Args:
        work: depends on nothing but its item.
        items: iterated lazily, a few batches ahead.
    """
    left = iter(items)
    yield from map(work, islice(left, _ALONE))
    if cores() == 1 or sys.platform != "linux" or current_process().daemon:
        yield from map(work, left)
        return
    first = [*islice(left, _BATCH)]
    if first:
        yield from _together(work, first, left)


def cores() -> int:
    """Return the number of cores for this process: OMP_NUM_THREADS, as set by launchers, or all available."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, max(1, int(asked))) if asked.isdecimal() else there


def _together(work: Callable[[T], R], first: list[T], left: Iterator[T]) -> Iterator[R]:
    waiting: deque[Future[list[R]]] = deque()
    pool = ProcessPoolExecutor(cores(), get_context("fork"), _inherit, (work, os.getpid()))
    batch = first
    try:
        while batch:
            waiting.append(pool.submit(_do, batch))
            if len(waiting) > _AHEAD * cores():
                yield from waiting.popleft().result()
            batch = [*islice(left, _BATCH)]
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_work: Callable[[Any], Any] = str


def _inherit(work: Callable[[Any], Any], parent: int) -> None:
    """Keep inherited objects without a copy; end with the parent, and leave Ctrl-C to it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)


def _do(batch: list[Any]) -> list[Any]:
    return [_work(item) for item in batch]
