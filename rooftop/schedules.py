"""Learning-rate schedules: from optimizer and length of the training to Lightning's scheduler description.

The optimizer's learning rate is the peak. Schedules by step have the step as their only state: a run can resume with
more epochs. Schedulers of torch, such as StepLR, count epochs.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

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


def fitted(make: "partial[Any]", *, monitor: str, mode: str) -> Callable[[Optimizer, int], Schedule]:
    """Return a schedule of (optimizer, steps) for a class of torch; a function of both is one already.

    Args:
        make: class or function with its settings.
        monitor: score that ReduceLROnPlateau looks at.
        mode: min or max, of this score, unless `make` has its own.
    """
    if not inspect.isclass(make.func):
        return partial(_described, make)
    if issubclass(make.func, ReduceLROnPlateau):
        return lambda optimizer, steps: {
            "scheduler": make(optimizer, **{"mode": mode, **make.keywords}),
            "interval": "epoch",
            "monitor": monitor,
        }
    return lambda optimizer, steps: _described(lambda *_: make(optimizer), optimizer, steps)


def _described(make: Callable[[Optimizer, int], Any], optimizer: Optimizer, steps: int) -> Schedule:
    """Return Lightning's description of a schedule, also of a bare scheduler.

    Raises:
        TypeError: it is neither.
    """
    made = make(optimizer, steps)
    if isinstance(made, LRScheduler):  # by their definition these two go on after each step
        return {"scheduler": made, "interval": "step" if isinstance(made, OneCycleLR | CyclicLR) else "epoch"}
    if not isinstance(made, dict) or "scheduler" not in made:
        raise TypeError(f"makes {type(made).__name__}, not a scheduler of torch or Lightning's description of one")
    return made


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` at share 0 to `end` at share 1 and beyond."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
