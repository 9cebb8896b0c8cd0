"""Pictures a second of one loader process: all that training needs, against nothing but decoding; rounds interleaved.

bound     one worker that decodes the same pictures (by Pillow, as everybody does, and by what we use) and sends nothing
ours      RoofDataModule on one worker: pictures, masks rasterised on the fly, augmented, batched, received

TMPDIR=/dev/shm python benchmarks/loader.py                        in memory, so that the disk is not what is measured
TMPDIR=/dev/shm python benchmarks/loader.py --memory 100000        memory over 3 epochs instead
"""

import argparse
import pickle
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import DataLoader, Dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import crowdai_like  # noqa: E402
from rooftop.config import build  # noqa: E402
from rooftop.data import RoofDataModule  # noqa: E402
from rooftop.raster.picture import read_picture  # noqa: E402

WINDOW = "data.window={size: [224, 224], gsd: [0.2, 0.65]}"
OURS = {
    "ours, no augmentation": ["augmentation=none"],
    "ours, flips": ["augmentation=flips"],
    "ours, aerial": ["augmentation=aerial"],
    "ours, windows of 224 px and flips": ["augmentation=flips", WINDOW],
}


def by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


class Decoded(Dataset):
    """Decodes and forgets."""

    def __init__(self, paths: list[Path], decode: Any) -> None:
        self.paths, self.decode = paths, decode

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> int:
        self.decode(self.paths[i])
        return i


def open_data(root: Path, overrides: list[str], workers: int) -> RoofDataModule:
    """The data module as `train.py data=crowdai` makes it, on the generated set."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        fixed = ["data=crowdai", f"data.root={root}", f"data.cache={root / 'cache'}", f"data.workers={workers}"]
        cfg = compose("train", [*fixed, "data.val=null", "data.val_share=0.01", *overrides])
    config: Any = OmegaConf.to_container(cfg.data, resolve=True)
    config["train"] = {"images": "images", "annotations": "annotation.json", "masks": None}
    return RoofDataModule(config, operations=build(cfg.augmentation, "augmentation"), seed=0)


def measure(loader: DataLoader) -> tuple[float, float]:
    """Pictures a second, and those a second of the worker's processor time, from when the first batch is there."""
    batches = iter(loader)
    next(batches)
    count = (len(loader) - 1) * loader.batch_sampler.batch_size
    pid = loader._iterator._workers[0].pid
    start, busy = time.perf_counter(), processor_seconds(pid)
    for _ in batches:
        pass
    return count / (time.perf_counter() - start), count / (processor_seconds(pid) - busy)


def processor_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def speed(root: Path, rounds: int) -> None:
    paths = sorted((root / "images").iterdir())
    size = open_data(root, [], 0).config["batch_size"]
    loaders: dict[str, DataLoader] = {
        name: DataLoader(Decoded(paths, decode), size, num_workers=1, persistent_workers=True)
        for name, decode in {"bound, Pillow": by_pillow, "bound, our decoder": read_picture}.items()
    }
    loaders |= {name: open_data(root, overrides, 1).train_dataloader() for name, overrides in OURS.items()}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    for turn in range(rounds):
        for name, loader in loaders.items():
            if hasattr(loader.batch_sampler, "set_epoch"):
                loader.batch_sampler.set_epoch(turn)
            rates[name].append(measure(loader))
    pillow, own, *_ = (np.array(values) for values in rates.values())
    print(
        "| | pictures/s | of Pillow's bound | of our decoder's | per second of processor | of Pillow's | of our own |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, values in rates.items():
        wall, busy = np.median(values, axis=0)
        cells = [f"{wall:,.0f}", share(values, pillow, 0), share(values, own, 0)]
        print(
            f"| {name} | "
            + " | ".join([*cells, f"{busy:,.0f}", share(values, pillow, 1), share(values, own, 1)])
            + " |"
        )


def share(values: list[tuple[float, float]], bound: np.ndarray, column: int) -> str:
    """Median of the rounds' ratios, least and most."""
    ratio = (np.array(values) / bound)[:, column]
    return f"{np.median(ratio):.0%} ({ratio.min():.0%} to {ratio.max():.0%})"


def memory(root: Path, epochs: int, workers: int) -> None:
    """Print the memory of the main process and of the workers after each epoch, and what shuffling holds."""
    data = open_data(root, ["augmentation=flips"], workers)
    loader = data.train_dataloader()
    print("| after epoch | main MB | each worker MB, anonymous | proportional |\n|---|---:|---:|---:|")
    for epoch in range(epochs):
        loader.batch_sampler.set_epoch(epoch)
        last = len(loader) - 1
        for number, _ in enumerate(loader):
            if epoch == 0 and number == 20:
                print(line("20 batches", loader))
            if number == last:
                print(line(str(epoch + 1), loader), flush=True)
    order = loader.batch_sampler._order(np.random.default_rng(0))
    print(f"\nshuffling: {order.nbytes:,} bytes of indices an epoch in the main process; a worker is sent")
    print(f"{len(pickle.dumps(next(iter(loader.batch_sampler)))):,} bytes of keys a batch")


def line(what: str, loader: DataLoader) -> str:
    workers = [worker.pid for worker in loader._iterator._workers]
    anonymous, shared = ([megabytes(pid, key) for pid in workers] for key in ("Anonymous", "Pss"))
    text = lambda values: ", ".join(f"{value:.1f}" for value in values)  # noqa: E731
    return f"| {what} | {megabytes('self', 'Anonymous'):.1f} | {text(anonymous)} | {text(shared)} |"


def megabytes(pid: int | str, key: str) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{key}:\s+(\d+)", rollup, re.MULTILINE)[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", type=int, metavar="PICTURES")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root, count = Path(temporary), arguments.memory or arguments.pictures
        crowdai_like.write(root / "annotation.json", count)
        crowdai_like.write_pictures(root / "images", count)
        if arguments.memory:
            memory(root, arguments.epochs, arguments.workers)
        else:
            speed(root, arguments.rounds)


if __name__ == "__main__":
    main()
