"""What does a training step cost, beside a plain PyTorch loop, other settings and other people's U-Nets?

    python benchmarks/train_step.py settings             ours, the plain loop, and the loop with one thing changed
    python benchmarks/train_step.py networks             ours, the plain loop, and the loop with other networks
    python benchmarks/train_step.py networks --device cuda --batch 64 --side 256 --rounds 20 --steps 20

One process, one batch of random pictures made once: nothing is loaded from disk. Each contestant runs a few steps a
round, turn by turn, so that a slow moment of the machine hits all of them; the first round warms up and does not count.
The table has the median of the rounds, and the median of the ratios to "plain loop" round by round.

"ours" is `RooftopTask` under a Trainer with all that the default configuration does at each step: training scores, mean
of the weights, seed of the step, gradient clipping, learning rate, TensorBoard, progress bar. "plain loop" has the same
network, loss, optimizer, schedule, clipping and mean of the weights, and nothing else. The others (`other_unets.py`)
train in the plain loop: MONAI's networks at as many parameters as ours, by their width, the one after milesial at our
width and depth.

On CUDA: bfloat16 autocast, and besides the share of the matmul speed that the card reaches on 8192 x 8192 bfloat16.
"""

import argparse
import logging
import statistics
import tempfile
import warnings
from functools import partial

import pytorch_lightning as pl
import torch
from other_unets import DEPTH, WIDTH, Milesial, at_equal_parameters, monai_basic, monai_unet, ours, parameters
from plain_loop import CLIP, DAMPING, DECAY, RATE, Plain, make_loss
from pytorch_lightning.callbacks import LearningRateMonitor, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from turns import BUSY, Same, Turns, clock, synchronise

from rooftop.callbacks import Average
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.schedules import one_cycle
from rooftop.task import RooftopTask


def make_trainer(turns: Turns, device: str, folder: str) -> pl.Trainer:
    """The default trainer with the callbacks of the default that act at each step."""
    return pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if device == "cuda" else "32-true",
        max_epochs=1,
        gradient_clip_val=CLIP,
        log_every_n_steps=5,
        callbacks=[Average(decay=DECAY), LearningRateMonitor("step"), RichProgressBar(), turns],
        logger=TensorBoardLogger(folder, name=None, version=""),
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def contestants(options: argparse.Namespace) -> dict[str, tuple[nn.Module, dict[str, bool]]]:
    """Networks for the plain loop, with what they do otherwise than ours."""
    found: dict[str, tuple[nn.Module, dict[str, bool]]] = {"plain loop": (ours(), {})}
    if options.what == "settings":
        found["without channels_last"] = (ours(), {"last": False})
        found["fused AdamW"] = (ours(), {"fused": True})
        return found | ({"torch.compile": (ours(), {"compiled": True})} if options.compile else {})
    wanted = parameters(ours())
    others = {
        "milesial, bilinear": lambda: Milesial(WIDTH, DEPTH, bilinear=True),
        "milesial, transposed": lambda: Milesial(WIDTH, DEPTH, bilinear=False),
        "MONAI BasicUNet": lambda: at_equal_parameters(monai_basic, wanted),
        "MONAI UNet": lambda: at_equal_parameters(monai_unet, wanted),
    }
    for name, make in others.items():
        found[name] = (make(), {"last": False})
        found[f"{name}, channels_last"] = (make(), {})
    return found


def make_batch(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Random pictures with blocks for roofs, on the device."""
    shape = (options.batch, 1, options.side, options.side)
    blocks = torch.rand(options.batch, 1, options.side // 16, options.side // 16) > 0.7
    mask = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3).byte()
    image = torch.randn(options.batch, 3, *shape[2:])
    batch = {"image": image, "mask": mask, "valid": torch.ones(options.batch, *shape[2:], dtype=torch.bool)}
    return {name: tensor.to(options.device) for name, tensor in batch.items()}


def measure(options: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each turn, by contestant, the first left out; and how many parameters each has."""
    torch.manual_seed(0)
    batch, chosen = make_batch(options), contestants(options)
    loops = {name: Plain(network, batch, **how) for name, (network, how) in chosen.items()}
    found: dict[str, list[float]] = {"ours": [], **{name: [] for name in loops}}

    def others(seconds: float) -> None:
        found["ours"].append(seconds)
        for name, loop in loops.items():
            synchronise()
            start = clock()
            loop.run(options.steps)
            synchronise()
            found[name].append(clock() - start)

    network = ours().to(memory_format=torch.channels_last)
    task = RooftopTask(
        network,
        make_loss(),
        partial(PixelScores, 1),
        optimizer=partial(torch.optim.AdamW, lr=RATE, weight_decay=DAMPING),
        schedule=partial(one_cycle, rise=0.3),
        threshold=0.5,
        seed=0,
    )
    loader = DataLoader(Same(batch, options.steps * (options.rounds + 1)), batch_size=None)
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(Turns(options.steps, others), options.device, folder).fit(task, loader)
    sizes = {"ours": parameters(network), **{name: parameters(network) for name, (network, _) in chosen.items()}}
    return {name: seconds[1:] for name, seconds in found.items()}, sizes


def report(found: dict[str, list[float]], sizes: dict[str, int], pictures: int) -> None:
    """The table."""
    print(
        "| step | parameters | pictures/s | time, share of the plain loop | lowest to highest |\n|---|---|---|---|---|"
    )
    for name, seconds in found.items():
        ratios = [a / b for a, b in zip(seconds, found["plain loop"], strict=True)]
        rate = pictures / statistics.median(seconds)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"| {name} | {sizes[name]:,} | {rate:.1f} | {statistics.median(ratios):.3f} | {spread} |")


def share_of_peak(rate: float, options: argparse.Namespace) -> None:
    """Arithmetic of our step beside what the card reaches on a large matmul."""
    network, image = ours().cuda(), torch.randn(1, 3, options.side, options.side, device="cuda")
    with FlopCounterMode(display=False) as counter:
        network(image).sum().backward()
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    times = []
    for _ in range(20):
        synchronise()
        start = clock()
        a @ a
        synchronise()
        times.append(clock() - start)
    peak = 2 * 8192**3 / statistics.median(times)
    print(
        f"{rate * counter.get_total_flops() / peak:.1%} of {peak / 1e12:.0f} TFLOP/s, the card's own on bfloat16 matmul"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["settings", "networks"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128, help="px")
    parser.add_argument("--steps", type=int, default=3, help="of one turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(BUSY, action="store_true", help="count CPU time; with OMP_NUM_THREADS=1, on a machine in use")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile too; its first step takes a minute or two"
    )
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    found, sizes = measure(options)
    pictures = options.batch * options.steps
    report(found, sizes, pictures)
    if options.device == "cuda":
        share_of_peak(pictures / statistics.median(found["ours"]), options)


if __name__ == "__main__":
    main()
