"""Masks a second at the density of crowdAI: the bound, this project, the method it descends from; rounds interleaved.

bound     pycocotools alone (frPyObjects, merge, decode) and a bilevel PNG into memory: nothing is read, nothing kept
ours      annotations out of the index, 8-bit PNG files written whole
original  annToMask of each annotation, summed up, and saved as a picture by matplotlib

TMPDIR=/dev/shm python benchmarks/make_masks.py   in memory, so that the disk is not what is measured
"""

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
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


def rate(count: int, work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


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
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO(str(index.source))
        pictures = [[ring.ravel().tolist() for o in index.objects(i) for ring in o.rings or ()] for i in range(count)]
        rates: dict[str, list[float]] = {"bound": [], "ours, 1 process": [], "ours, 2 processes": [], "original": []}
        for turn in range(arguments.rounds):
            rates["bound"].append(rate(count, lambda: bound(pictures)))
            for processes, name in ((1, "ours, 1 process"), (2, "ours, 2 processes")):
                made = folder / f"{turn}_{processes}"
                rates[name].append(rate(count, partial(ours, index, processes, made)))
                shutil.rmtree(made)
            rates["original"].append(rate(few, lambda: original(api, list(range(few)), folder)))
    print("| | masks/s | of the bound, median of rounds | least to most |\n|---|---:|---:|---:|")
    for name, values in rates.items():
        ratio = np.divide(values, rates["bound"])
        print(
            f"| {name} | {np.median(values):,.1f} | {np.median(ratio):.0%} | {ratio.min():.0%} to {ratio.max():.0%} |"
        )
    double = np.divide(rates["ours, 2 processes"], rates["ours, 1 process"])
    print(f"\n2 processes over 1: {np.median(double):.2f} ({double.min():.2f} to {double.max():.2f})")


if __name__ == "__main__":
    main()
