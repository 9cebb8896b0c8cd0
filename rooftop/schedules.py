"""Learning-rate schedules: from optimizer and length of the training to Lightning's scheduler description.

The optimizer's learning rate is the peak. Schedules by step have the step as their only state: a run can resume with
more epochs.
"""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

Schedule = dict[str, Any]
START, END = 1 / 25, 1e-4  # of the top: where one_cycle begins and ends, as its paper's first implementations do


def one_cycle(optimizer: Optimizer, steps: int, *, rise: float) -> Schedule:
    """One rise and one long fall, both half a cosine (Smith and Topin 2018, arXiv 1708.07120); momentum stays.

    Args:
        optimizer: its learning rate is changed.
        steps: optimizer steps of the whole training.
        rise: share of the steps until the top.
    """
    top = rise * steps

    def factor(step: int) -> float:
        if step < top:
            return _between(START, 1.0, step / top)
        return _between(1.0, END, (step - top) / max(1.0, steps - top))

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def cosine(optimizer: Optimizer, steps: int, *, rise: float) -> Schedule:
    """Linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Args:
        optimizer: its learning rate is changed.
        steps: optimizer steps of the whole training.
        rise: share of the steps of the warm-up.
    """
    warm = max(1, round(rise * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return _between(1.0, 0.0, (step - warm) / max(1, steps - warm))

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def plateau(
    optimizer: Optimizer, steps: int, *, monitor: str, mode: str, factor: float, patience: int, floor: float
) -> Schedule:
    """Shrink the learning rate when the monitored score has not improved.

    Args:
        optimizer: its learning rate is changed.
        steps: not used; all schedules share this signature.
        monitor: name of the score.
        mode: min or max.
        factor: of the learning rate.
        patience: validated epochs without progress before that.
        floor: smallest learning rate.
    """
    schedule = ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=patience, min_lr=floor)  # type: ignore[arg-type]
    return {"scheduler": schedule, "interval": "epoch", "monitor": monitor}


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` at share 0 to `end` at share 1 and beyond."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
