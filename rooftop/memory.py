"""Keep freed memory for the next tensor."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of mallopt(3)


def keep_freed_memory() -> None:
    """Let this process keep large freed blocks instead of returning each to the system.

    On a CPU a network allocates and frees hundreds of megabytes per layer, windows for a GPU tens. glibc maps each
    block anew, and the kernel clears it page by page: a third to half of a forward pass, a quarter of a training step
    (benchmarks/results_predict.md, results_train.md). Peak memory grows by about a sixth, by gaps between blocks.
    Forked processes inherit the setting. Without glibc nothing changes.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
