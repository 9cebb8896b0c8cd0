"""One row per epoch: logged, stored in the checkpoint, written to `metrics.csv` and drawn as a curve.

Rows and checkpoints number epochs from 0, as Lightning does; whatever people read numbers them from 1.
"""

import csv
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rooftop.config import shell_setting, typed_command
from rooftop.errors import ConfigError
from rooftop.files import atomic_write
from rooftop.plots.charts import learning_curve
from rooftop.task import RooftopTask

log = logging.getLogger(__name__)


class History(Callback):
    """Keeps the scores of each epoch, also in the checkpoint: a resumed run has its past.

    Args:
        folder: the run folder.
        monitor: name of the score for the best epoch.
        mode: min or max.
    """

    def __init__(self, folder: Path, *, monitor: str, mode: str) -> None:
        self.folder, self.monitor, self.mode = folder, monitor, mode
        self.rows: list[dict[str, float]] = []
        self.validations: list[dict[str, float]] = []
        self._start = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows for the checkpoint."""
        return {"rows": self.rows, "validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from the checkpoint.

        Raises:
            ValueError: a row is none of such a training.
        """
        self.rows = msgspec.convert(state_dict["rows"], list[dict[str, float]])
        validated = [row for row in self.rows if self.monitor in row]
        self.validations = msgspec.convert(state_dict.get("validations", validated), list[dict[str, float]])
        if not all(0 <= row.get("epoch", -1) < math.inf for row in (*self.rows, *self.validations)):
            raise ValueError("a row without epoch")
        if not all(self.monitor in row for row in self.validations):
            raise ValueError(f"a validation without {self.monitor}")

    @property
    def best(self) -> dict[str, float]:
        """Best value of the monitored score over all validations, under its name, and its `epoch`, from 0."""
        choose = max if self.mode == "max" else min
        return choose(self.validations, key=lambda row: row[self.monitor])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand the last score to a resumed plateau schedule: Lightning writes `last.ckpt` before it sees the score."""
        for config in trainer.lr_scheduler_configs:
            plateau, monitor = config.scheduler, str(config.monitor)
            validated = [row for row in self.rows if monitor in row]
            if isinstance(plateau, ReduceLROnPlateau) and plateau.last_epoch < len(validated):
                plateau.step(validated[-1][monitor])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the monitored score, as often as checkpoints are chosen by it."""
        if not trainer.sanity_checking and self.monitor in trainer.callback_metrics:
            score = float(trainer.callback_metrics[self.monitor])
            self.validations.append({"epoch": float(trainer.current_epoch), self.monitor: score})

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the epoch."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the scores of this epoch; its validation, if any, is over by now.

        Raises:
            ConfigError: a loss is not finite.
        """
        assert isinstance(pl_module, RooftopTask)
        row = {"epoch": float(trainer.current_epoch), "seconds": time.monotonic() - self._start}
        for name, value in sorted(trainer.callback_metrics.items()):  # contain scores of earlier epochs too
            if name.partition("/")[0] in pl_module.measured:
                row[name] = float(value)
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.rows.append(row)
        if trainer.is_global_zero:
            self._write()
            shown = (f"{key} {row[key]:.4f}" for key in ("train/loss", "val/loss", "val/iou", "val/f1") if key in row)
            log.info(
                "epoch %d of %s  %s  %.1f s",
                row["epoch"] + 1,
                trainer.max_epochs,
                "  ".join(shown),
                row["seconds"],
            )
        _check_finite(row)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the learning curve; log the reason for an early stop."""
        early = trainer.early_stopping_callback
        if trainer.is_global_zero and early and early.stopped_epoch:
            log.info(
                "stopped in epoch %d: no better %s in %d validations (callbacks.early_stop)",
                *(early.stopped_epoch + 1, early.monitor, early.patience),
            )
        if trainer.is_global_zero and self.validations:
            learning_curve(self.folder / "pictures" / "learning_curve.png", self.rows, best=int(self.best["epoch"]) + 1)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Print the command to resume after Ctrl-C, or SIGTERM from a scheduler."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException) and trainer.is_global_zero:
            resume = shell_setting("resume", self.folder)
            how = f"resume with: {typed_command('train')} {resume}" if self.rows else "no epoch was finished."
            print(f"\nstopped in epoch {trainer.current_epoch + 1}; {how}", file=sys.stderr)

    def _write(self) -> None:
        columns = sorted({key for row in self.rows for key in row}, key=lambda key: (key != "epoch", key))
        with atomic_write(self.folder / "metrics.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows({**row, "epoch": int(row["epoch"]) + 1} for row in self.rows)


def _check_finite(row: dict[str, float]) -> None:
    for name in ("train/loss", "val/loss"):
        if not math.isfinite(row.get(name, 0.0)):
            raise ConfigError(
                f"epoch {int(row['epoch']) + 1}: {name} is {row[name]}: nothing more is learned; "
                "lower optimizer.lr or trainer.gradient_clip_val."
            )
