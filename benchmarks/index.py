"""Opening annotations: `pycocotools.COCO` against the index, each in a process of its own, one after the other.

python benchmarks/index.py                            10,000, 100,000 and 280,741 pictures; some minutes
python benchmarks/index.py --pictures 10000 20000
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import crowdai_like  # noqa: E402

COLUMNS = (
    *("pictures", "annotations", "json MB"),
    *("pycocotools s", "first opening s", "ratio", "later opening ms", "ratio"),
    *("pycocotools MB", "first opening MB", "ratio", "loader worker adds MB"),
)
THEIRS = ("from pycocotools.coco import COCO", "COCO({path!r})")
OURS = (
    "from pathlib import Path; from rooftop.coco import open_index",
    "index = open_index(Path({path!r}), cache=Path({cache!r}))",
)
WORKER = (
    r"""
import re
from pathlib import Path
from rooftop.coco import open_index
def anonymous():
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = anonymous()""",
    """
index = open_index(Path({path!r}), cache=Path({cache!r}))
for row in range(len(index)):
    index.objects(row)
print(anonymous() - before)""",
)


def measure(code: tuple[str, str], **places: str) -> tuple[float, float, str]:
    """Run Python after some imports: seconds without these, peak memory of all processes in MB, what was printed."""
    body = (
        f"{code[0]}\nimport time; t = time.perf_counter()\n{code[1].format(**places)}\nprint(time.perf_counter() - t)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True, env=environment)
    peak = [0.0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    lines = process.communicate()[0].splitlines()
    watcher.join()
    return float(lines[-1]), peak[0], lines[-2] if len(lines) > 1 else ""


def watch(process: subprocess.Popen, peak: list[float]) -> None:
    """Keep the highest memory of a process and its children, in MB."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(memory, family(process.pid))))
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def memory(pid: int) -> float:
    """Memory of a process in MB, pages of the mapped file included, shared ones divided among those that share them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def compare(folder: Path, pictures: int, repeats: int) -> list[str]:
    """One line of the table: the fastest of interleaved runs, the highest memory."""
    path, cache = folder / f"{pictures}.json", folder / "cache"
    places = {"path": str(path), "cache": str(cache)}
    count, size = crowdai_like.write(path, pictures), path.stat().st_size / 1e6
    theirs, ours = [], []
    for _ in range(repeats):
        theirs.append(measure(THEIRS, **places))
        shutil.rmtree(cache, ignore_errors=True)
        ours.append(measure(OURS, **places))
    later = min(measure(OURS, **places)[0] for _ in range(3))
    worker = float(measure(WORKER, **places)[2])
    path.unlink()
    (slow, big), (fast, small) = ((min(r[0] for r in runs), max(r[1] for r in runs)) for runs in (theirs, ours))
    seconds = [
        f"{slow:.1f}",
        f"{fast:.2f}",
        f"**{slow / fast:.1f}**",
        f"{later * 1000:.1f}",
        f"**{slow / later:,.0f}**",
    ]
    peak = [f"{big:,.0f}", f"{small:,.0f}", f"**{big / small:.1f}**", f"{worker:.1f}"]
    return [f"{pictures:,}", f"{count:,}", f"{size:,.0f}", *seconds, *peak]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[10_000, 100_000, 280_741])
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---:" * len(COLUMNS) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for pictures in arguments.pictures:
            print("| " + " | ".join(compare(Path(folder), pictures, arguments.repeats)) + " |", flush=True)


if __name__ == "__main__":
    main()
