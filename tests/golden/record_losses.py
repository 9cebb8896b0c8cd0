"""Run `train.py` for some steps and write the loss of each: record_losses.py FILE STEPS OVERRIDE...

A script of its own, because the processor's instruction set has to be chosen before torch is imported.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

FILE, STEPS = Path(sys.argv[1]), int(sys.argv[2])
FIT = pl.Trainer.fit


class Losses(pl.Callback):
    """Collects the loss of each step, and ends the process after the last."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """Note the loss."""
        self.losses.append(float(outputs["loss"]))
        if len(self.losses) == STEPS:
            FILE.write_text(json.dumps(self.losses))
            sys.exit(0)


def fit(self: pl.Trainer, *arguments: Any, **named: Any) -> None:
    """Fit, with the losses collected."""
    self.callbacks.append(Losses())  # type: ignore[attr-defined]
    FIT(self, *arguments, **named)


pl.Trainer.fit = fit  # type: ignore[method-assign]
sys.argv[:] = ["train.py", *sys.argv[3:]]

import train  # noqa: E402

train.main()
