"""Memory of this process: keep freed blocks for the next tensor, measure the peak."""

import contextlib
import ctypes
import sys
from pathlib import Path

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


def peak_memory() -> int:
    """Give the most memory that this process has held so far, in bytes; 0 where the system does not tell (Windows).

    Linux counts the peak of the parent into `ru_maxrss` of a child, so a small process started by a large one (a
    notebook, a test) would look large; `VmHWM` starts anew with each program.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource  # late: Windows has none
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, kilobytes elsewhere
