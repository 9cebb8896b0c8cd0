"""Which engine answers fastest on a CPU, torch or ONNX Runtime in float32 or eight bits (or OpenVINO, if installed)?

    python benchmarks/engines.py                          # the default U-Net, random weights, windows of 256 px
    python benchmarks/engines.py --run pretrained/rooftop-unet --window 1024 --batch 1

Turn by turn in one process, medians of the rounds, pictures in and probabilities out. "Processor s" is what all
threads used, the kernel's part in brackets: on a machine shared with others it is what can be compared, at one thread
(OMP_NUM_THREADS=1; with more, threads that wait for each other are counted as working).
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from rooftop.export import onnx_logits, write_onnx
from rooftop.inference import Predictor, open_predictor
from rooftop.inference.sliding_window import Forward
from rooftop.models import UNet
from rooftop.run import Card, Run, load


def random_run() -> Run:
    """The default U-Net with random weights, as if loaded from a run folder."""
    torch.manual_seed(0)
    choices = {"norm": "batch", "activation": "relu", "dropout": 0.0, "upsampling": "bilinear"}
    network = UNet(in_channels=3, depth=5, width=16, classes=1, **choices).eval()
    preparation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": None}
    return Run(Path("random"), Card({}, preparation, ["roof"], threshold=0.5), network)


def ways(run: Run) -> dict[str, Forward]:
    """Each engine behind the same call."""
    found = {
        "torch": Predictor(run, device="cpu").forward,
        "onnxruntime": Predictor(run, logits=onnx_logits(run)).forward,
    }
    if run.folder.is_dir():  # random weights lose too much in eight bits
        found["int8"] = open_predictor(run, device="cpu", engine="int8").forward
    try:
        found["openvino"] = openvino(run)
    except ImportError:
        print("openvino is not installed: pip install openvino")
    return found


def openvino(run: Run) -> Forward:
    """OpenVINO on the exported file, in float32."""
    import openvino

    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"engines-{os.getpid()}.onnx"
    write_onnx(run, path)
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    path.unlink()
    return lambda pictures: np.array(request.infer({0: pictures})[0])


def measure(calls: dict[str, Forward], pictures: np.ndarray, rounds: int) -> None:
    """A table of medians, and the largest difference to torch."""
    times, answers = {}, {}
    for _ in range(rounds + 1):  # the first round warms up and does not count
        for way, call in calls.items():
            start, before = time.monotonic(), os.times()
            answers[way] = call(pictures)
            after = os.times()
            used = after.user - before.user, after.system - before.system
            times.setdefault(way, []).append((time.monotonic() - start, sum(used), used[1]))
    medians = {
        way: [statistics.median(column) for column in zip(*found[1:], strict=True)] for way, found in times.items()
    }
    first = next(iter(calls))
    print("| engine | s | times as fast | processor s (kernel) | times as fast | largest difference |")
    print("|---|---|---|---|---|---|")
    for way, (wall, used, kernel) in medians.items():
        off = np.abs(answers[way] - answers[first]).max()
        gains = [medians[first][i] / value for i, value in enumerate((wall, used))]
        print(f"| {way} | {wall:.3f} | {gains[0]:.2f} | {used:.3f} ({kernel:.3f}) | {gains[1]:.2f} | {off:.0e} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run = load(options.run) if options.run else random_run()
    shape = options.batch, options.window, options.window, 3
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    print(f"{options.run or 'default U-Net'}, {shape}, {torch.get_num_threads()} threads")
    measure(ways(run), pictures, options.rounds)


if __name__ == "__main__":
    main()
