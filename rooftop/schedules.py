"""Learning-rate schedules: optimizer and length of the training in, what Lightning wants to know out."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

Schedule = dict[str, Any]


def one_cycle(optimizer: Optimizer, steps: int, *, max_lr: float, rise: float) -> Schedule:
    """One rise and one long fall of the learning rate (Smith and Topin 2018, arXiv 1708.07120).

    Args:
        optimizer: what it steers.
        steps: optimizer steps of the whole training.
        max_lr: learning rate at the top.
        rise: share of the steps until the top.
    """
    schedule = OneCycleLR(optimizer, max_lr=max_lr, total_steps=max(steps, 2), pct_start=rise)
    return {"scheduler": schedule, "interval": "step"}


def cosine(optimizer: Optimizer, steps: int, *, rise: float) -> Schedule:
    """Linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Args:
        optimizer: what it steers; its own learning rate is the top.
        steps: optimizer steps of the whole training.
        rise: share of the steps of the warm-up.
    """
    warm = max(1, round(rise * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def plateau(
    optimizer: Optimizer, steps: int, *, monitor: str, mode: str, factor: float, patience: int, floor: float
) -> Schedule:
    """Shrink the learning rate when the monitored score has not improved.

    Args:
        optimizer: what it steers.
        steps: not needed here; every schedule is told.
        monitor: name of the score.
        mode: min or max.
        factor: what the learning rate is multiplied by.
        patience: epochs without progress before that.
        floor: smallest learning rate.
    """
    schedule = ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=patience, min_lr=floor)  # type: ignore[arg-type]
    return {"scheduler": schedule, "interval": "epoch", "monitor": monitor}
