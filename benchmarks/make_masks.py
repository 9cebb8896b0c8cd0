"""Masks a second at the density of crowdAI: the bound, this project, the method it descends from; rounds interleaved.

bound     pycocotools alone (frPyObjects, merge, decode) and a bilevel PNG into memory: nothing is read, nothing kept
ours      annotations out of the index, 8-bit PNG files written whole
apart     ours, two single processes side by side, each on a set of half the size: what two processes can be here
original  annToMask of each annotation, summed up, and saved as a picture by matplotlib

TMPDIR=/dev/shm python benchmarks/make_masks.py   in memory, so that the disk is not what is measured
"""

import argparse
import contextlib
import io
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import Process
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import crowdai_like
from rooftop.coco import Index, MaskFolder, open_index

SIDE = crowdai_like.SIDE


def bound(pictures: list[list[list[float]]]) -> None:
    for rings in pictures:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if rings:
            mask = rle.decode(rle.merge(rle.frPyObjects(rings, SIDE, SIDE)))
        Image.fromarray(mask.astype(bool)).save(io.BytesIO(), "PNG")


def ours(index: Index, processes: int, folder: Path) -> None:
    MaskFolder(index, [crowdai_like.CATEGORY], folder).make(processes=processes)


def apart(halves: list[Index], folder: Path) -> None:
    both = [Process(target=ours, args=(half, 1, folder / str(number))) for number, half in enumerate(halves)]
    for process in both:
        process.start()
    for process in both:
        process.join()


def original(api: COCO, identities: list[int], folder: Path) -> None:
    from matplotlib import pyplot as plt

    for identity in identities:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for annotation in api.loadAnns(api.getAnnIds(imgIds=[identity])):
            mask = np.maximum(mask, api.annToMask(annotation))
        figure = plt.figure()
        plt.imshow(mask, cmap="gray")
        plt.axis("off")
        plt.savefig(folder / f"{identity}.png", bbox_inches="tight", pad_inches=0)
        plt.close(figure)


def rate(count: int, work: Callable[[], None]) -> tuple[float, float]:
    """Pictures a second, and seconds of processor time, those of other processes included."""
    start, busy = time.perf_counter(), processor_seconds()
    work()
    return count / (time.perf_counter() - start), processor_seconds() - busy


def processor_seconds() -> float:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    mpl.use("agg")
    count, few = arguments.pictures, 10
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        crowdai_like.write(folder / "annotation.json", count)
        index = open_index(folder / "annotation.json", cache=folder)
        for half in (0, 1):
            crowdai_like.write(folder / f"half_{half}.json", count // 2, seed=half + 1)
        halves = [open_index(folder / f"half_{half}.json", cache=folder) for half in (0, 1)]
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO(str(index.source))
        pictures = [[ring.ravel().tolist() for o in index.objects(i) for ring in o.rings or ()] for i in range(count)]
        names = ("bound", "ours, 1 process", "ours, 2 processes", "ours, 2 single processes apart", "original")
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for turn in range(arguments.rounds):
            rates["bound"].append(rate(count, lambda: bound(pictures)))
            for processes, name in ((1, "ours, 1 process"), (2, "ours, 2 processes")):
                made = folder / f"{turn}_{processes}"
                rates[name].append(rate(count, partial(ours, index, processes, made)))
                shutil.rmtree(made)
            rates["ours, 2 single processes apart"].append(rate(count, lambda: apart(halves, folder / "apart")))
            shutil.rmtree(folder / "apart")
            rates["original"].append(rate(few, lambda: original(api, list(range(few)), folder)))
    print("| | masks/s | of the bound, median of rounds | least to most | over 1 process | processor s |")
    print("|---|---:|---:|---:|---:|---:|")
    table = {name: np.array(values) for name, values in rates.items()}
    for name, values in table.items():
        masks, busy = np.median(values, axis=0)
        ratio, times = (values[:, 0] / table[other][:, 0] for other in ("bound", "ours, 1 process"))
        over = f"{np.median(times):.2f} ({times.min():.2f} to {times.max():.2f})"
        shares = f"{np.median(ratio):.0%} | {ratio.min():.0%} to {ratio.max():.0%}"
        print(f"| {name} | {masks:,.1f} | {shares} | {over} | {busy:.2f} |")


if __name__ == "__main__":
    main()
