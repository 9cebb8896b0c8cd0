"""Freed memory is kept where the C library can, and nothing happens where it cannot."""

import platform
import subprocess
import sys

import pytest

from rooftop import memory

FAULTS = """
import resource, sys
from rooftop.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):
    b"x" * 60_000_000  # asked for, written and freed
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_are_not_mapped_anew():
    def faults(how):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("kept") < faults("anew") / 2


def test_another_c_library_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: asked.append(name) or object())
    memory.keep_freed_memory()
    assert asked == [None]  # looked for mallopt, went on without it


def test_the_peak_of_a_large_parent_is_not_the_peak_of_its_child():
    script = "from rooftop.memory import peak_memory; large = b'x' * int(3e8); print(peak_memory())"
    block = b"x" * 600_000_000
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    del block
    assert 300e6 < int(done.stdout) < 450e6
    assert memory.peak_memory() > 600e6
