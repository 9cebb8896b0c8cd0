"""Worker processes end with their parent, also if it is killed."""

import ctypes
import os
import signal
import sys

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux' prctl


def end_with_parent(parent: int) -> None:
    """Let the system kill this process when its parent ends; a pool of a killed parent would wait for work for ever.

    Of Linux alone: elsewhere only a parent that has ended by now is noticed.

    Args:
        parent: number of the parent, as `initargs=(os.getpid(),)` of a pool hands it over.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)
