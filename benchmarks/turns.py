"""Contestants run turn by turn, so that a slow moment of the machine hits all of them."""

import sys
import time
from collections.abc import Callable

import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import Dataset

BUSY = "--busy"  # on the command line: count CPU time


class Same(Dataset):
    """The same batch again and again."""

    def __init__(self, batch: dict, length: int) -> None:
        self.batch, self.length = batch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        return self.batch


class Turns(Callback):
    """Between the steps of the Trainer, let the others have their turn."""

    def __init__(self, steps: int, between: Callable[[float], None]) -> None:
        self.steps, self.between = steps, between
        self.start = 0.0

    def on_train_start(self, trainer, module) -> None:
        """Start the clock."""
        self.start = clock()

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        """Stop it after the last step of a turn, until the others are done: all between two steps counts."""
        if (index + 1) % self.steps == 0:
            synchronise()
            self.between(clock() - self.start)
            self.start = clock()


def clock() -> float:
    """Seconds: of the wall, or of this process on its cores."""
    return time.process_time() if BUSY in sys.argv else time.perf_counter()


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
