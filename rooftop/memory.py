"""Freed memory kept for the next tensor."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of mallopt(3)


def keep_freed_memory() -> None:
    """Let this process keep large blocks that it frees, instead of handing each back to the system.

    A network on a CPU asks for and frees hundreds of megabytes a layer, windows on their way to a GPU tens. glibc maps
    each such block anew, and the kernel clears it page by page, which took a third to half of a forward pass and a
    quarter of a training step (benchmarks/results_predict.md, results_train.md). The largest memory grows by a sixth or
    so, by gaps between blocks. Processes that are forked off later do as this one. Where the C library is another one,
    nothing changes.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
