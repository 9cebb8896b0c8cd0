"""What does a step of the shipped network cost on a CPU, with upper levels frozen and freed memory kept or handed back?

    python benchmarks/freeze.py [--rounds 5]

Forward, BCE + Dice, backward and AdamW on windows of 192 px, batches of 8, turn by turn, medians of the rounds after
one that warms up. Keeping memory cannot be undone in a process, so that each way of it has a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from rooftop.losses import BCE, Dice
from rooftop.memory import keep_freed_memory
from rooftop.run import load

LEVELS = (0, 1, 2, 3)
SIZE, BATCH = 192, 8
SHIPPED = Path(__file__).resolve().parents[1] / "pretrained/rooftop-unet"


def contestant(levels):
    """step() of a network of which so many levels are frozen."""
    network = load(SHIPPED).network.to(memory_format=torch.channels_last).train()
    for module in network.encoder.upper(levels):
        module.requires_grad_(False).eval()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-6)
    image = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    mask = (torch.rand(BATCH, network.head.out_channels, SIZE, SIZE) > 0.7).byte()
    valid, losses = torch.ones(BATCH, SIZE, SIZE, dtype=torch.bool), (BCE(), Dice())

    def step():
        optimizer.zero_grad()
        logits = network(image)
        sum(loss(logits, mask, valid) for loss in losses).backward()
        optimizer.step()

    return step


def measure(rounds):
    steps, times = {levels: contestant(levels) for levels in LEVELS}, {levels: [] for levels in LEVELS}
    for _ in range(rounds + 1):
        for levels, step in steps.items():
            start = time.monotonic()
            step()
            times[levels].append(time.monotonic() - start)
    print(*(f"{statistics.median(found[1:]):.3f}" for found in times.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=["kept", "handed back"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        if options.one == "kept":
            keep_freed_memory()
        measure(options.rounds)
        return
    print(f"| freed memory | {' | '.join(f'{levels} levels frozen, s' for levels in LEVELS)} |")
    print("|---" * (len(LEVELS) + 1) + "|")
    for way in ("handed back", "kept"):
        command = [sys.executable, __file__, "--one", way, "--rounds", str(options.rounds)]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        print(f"| {way} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
