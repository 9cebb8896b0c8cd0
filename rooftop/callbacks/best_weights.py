"""Will any weights be kept? All checks, in the order of a training: before it, at its first step, at its end."""

import math
import os
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from rooftop.callbacks.history import History
from rooftop.config import shell_setting, typed_command
from rooftop.errors import ConfigError


def find_keeper(trainer: Trainer, best: Path, history: History) -> ModelCheckpoint:
    """Return the callback for the best weights; call this before any work.

    Args:
        trainer: with all its callbacks.
        best: the checkpoint file of the best weights.
        history: names the monitored score.

    Raises:
        ConfigError: nothing is validated, or no callback keeps the best weights of each validation.
    """
    if trainer.fast_dev_run or trainer.limit_val_batches == 0:  # type: ignore[attr-defined]
        raise ConfigError(
            "trainer.fast_dev_run and trainer.limit_val_batches=0 validate nothing, so no weights are kept; try "
            "trainer.max_epochs=1 +trainer.limit_train_batches=2."
        )
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs or 0
    if every and 0 < epochs < every:
        raise ConfigError(
            f"trainer.check_val_every_n_epoch={every} is more than trainer.max_epochs={epochs}: no epoch would be "
            "validated and no weights kept; lower it."
        )
    wanted = (os.path.realpath(best.with_suffix("")), 1, history.monitor, history.mode)
    for each in (each for each in trainer.callbacks if isinstance(each, ModelCheckpoint)):  # type: ignore[attr-defined]
        written = os.path.realpath(Path(each.dirpath or "") / str(each.filename))
        if (written, each.save_top_k, each.monitor, each.mode) == wanted and _at_each_validation(each):
            return each
    raise ConfigError(
        "callbacks.best must keep its name, monitor, save_top_k=1 and schedule, or the best weights would be lost; "
        "to keep more checkpoints, add a callback of another name."
    )


def _at_each_validation(keeper: ModelCheckpoint) -> bool:
    schedule = keeper._every_n_epochs, keeper._every_n_train_steps, keeper._train_time_interval
    return schedule == (1, 0, None) and not keeper._save_on_train_epoch_end


class RequireValidation(Callback):
    """Refuses a training without validation at its first step: only then the number of batches is known."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the length of the training with its first validation.

        Raises:
            ConfigError: `max_steps` or `max_epochs` end the training before its first validation.
        """
        epoch, batches = trainer.num_training_batches, float(trainer.val_check_batch or math.inf)
        if batches >= epoch and trainer.check_val_every_n_epoch:
            batches = epoch * trainer.check_val_every_n_epoch
        steps = math.ceil(batches / trainer.accumulate_grad_batches)
        if 0 < trainer.max_steps < steps:  # -1: no limit
            raise ConfigError(
                f"trainer.max_steps={trainer.max_steps} comes before the first validation, after {steps} steps: no "
                "weights would be kept; raise it, or lower data.draws or trainer.val_check_interval."
            )
        if 0 < (together := (trainer.max_epochs or 0) * epoch) < batches:
            raise ConfigError(
                f"trainer.val_check_interval={trainer.val_check_interval} is more than the {together} batches of all "
                "epochs: no weights would be kept; lower it."
            )


def require_validated(history: History, folder: Path) -> None:
    """Refuse to test after a training without validation, as `trainer.max_time` may end one.

    Raises:
        ConfigError: no validation took place; the message has the command to resume.
    """
    if not history.validations:
        raise ConfigError(
            f"the training ended before its first validation; resume it: {typed_command('train')} "
            f"{shell_setting('resume', folder)} trainer.max_time=null, or let it validate sooner by "
            "trainer.val_check_interval."
        )
