"""A training from its first step, or its last checkpoint, to the tested weights."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from rooftop.callbacks import History
from rooftop.config import shell_setting
from rooftop.data import RoofDataModule
from rooftop.errors import ConfigError
from rooftop.run import CARD, read_checkpoint
from rooftop.task import RooftopTask

log = logging.getLogger(__name__)


def require_fresh(folder: Path, *, again: bool) -> None:
    """Refuse to begin anew where a stopped training could be gone on with.

    Args:
        folder: of the run.
        again: it may be begun anew, as in a sweep that is started again.

    Raises:
        ConfigError: the folder holds checkpoints, and no card, which a finished run has.
    """
    if (folder / CARD).exists():
        log.warning("%s holds a finished run, which is replaced; resume=RUN goes on with one", folder)
    elif (folder / "checkpoints" / "last.ckpt").exists() and not again and not _requeued(folder):
        raise ConfigError(
            f"{folder} holds a training that was stopped: python train.py {shell_setting('resume', folder)} goes on "
            "with it; to begin anew, delete its checkpoints or name another hydra.run.dir."
        )


def _requeued(folder: Path) -> bool:
    """Whether a cluster has stopped this training and started it again, so that Lightning goes on by itself."""
    return any(folder.glob("hpc_ckpt_*.ckpt"))


def fit_and_test(trainer: pl.Trainer, task: RooftopTask, data: RoofDataModule, *, resume: bool) -> None:
    """Train, from the last checkpoint on if asked, then test the best weights.

    Raises:
        ConfigError: the trainer would keep no weights, or time was over before any were validated.
        RunError: a checkpoint is damaged, or holds code.
    """
    checkpoints = Path(trainer.default_root_dir) / "checkpoints"
    best, last = checkpoints / "best.ckpt", checkpoints / "last.ckpt"
    keeper = keeper_of_best(trainer, best)
    if resume:
        _check_that_epochs_are_left(trainer, last)
    elif not _requeued(Path(trainer.default_root_dir)):
        for stale in (best, last):  # of an earlier training in this folder, which must not pass for this one's
            stale.unlink(missing_ok=True)
    with own_process_group():
        trainer.fit(task, data, ckpt_path=last if resume else None, weights_only=True)
        if not _history(trainer).validations:
            raise ConfigError(
                "the training ended before its first validation; python train.py "
                f"{shell_setting('resume', last.parents[1])} trainer.max_time=null goes on with it, "
                "or let it validate sooner by trainer.val_check_interval."
            )
        # ranks that something else than Lightning has started have folders of their own; that of the first one counts
        task.load_state_dict(read_checkpoint(Path(keeper.dirpath or "") / best.name)["state_dict"])
        trainer.test(task, data, verbose=False)


def keeper_of_best(trainer: pl.Trainer, best: Path) -> ModelCheckpoint:
    """The callback that writes the best weights down; without one a training is refused before any work."""
    if trainer.fast_dev_run or trainer.limit_val_batches == 0:  # type: ignore[attr-defined]
        raise ConfigError(
            "trainer.fast_dev_run and trainer.limit_val_batches=0 keep no weights, since nothing is validated; try "
            "trainer.max_epochs=1 +trainer.limit_train_batches=2."
        )
    history = _history(trainer)
    wanted = (os.path.realpath(best.with_suffix("")), 1, history.monitor, history.mode)
    for each in (each for each in trainer.callbacks if isinstance(each, ModelCheckpoint)):  # type: ignore[attr-defined]
        written = os.path.realpath(Path(each.dirpath or "") / str(each.filename))
        if (written, each.save_top_k, each.monitor, each.mode) == wanted and _at_each_validation(each):
            return each
    raise ConfigError(
        "callbacks.best=null, under another name, with another monitor, save_top_k or rhythm would lose the best "
        "weights; leave callbacks.best as it is, and keep more by a callback of another name."
    )


def _at_each_validation(keeper: ModelCheckpoint) -> bool:
    rhythm = keeper._every_n_epochs, keeper._every_n_train_steps, keeper._train_time_interval
    return rhythm == (1, 0, None) and not keeper._save_on_train_epoch_end


def _history(trainer: pl.Trainer) -> History:
    return next(each for each in trainer.callbacks if isinstance(each, History))  # type: ignore[attr-defined]


def _check_that_epochs_are_left(trainer: pl.Trainer, last: Path) -> None:
    done = int(read_checkpoint(last)["epoch"]) + 1  # refuses code in one sentence, before Lightning opens it
    if 0 < (trainer.max_epochs or 0) < done:
        raise ConfigError(
            f"trainer.max_epochs={trainer.max_epochs}: the run has {done} epochs already; give {done} to finish it, or "
            "more to go on."
        )


@contextmanager
def own_process_group() -> Iterator[None]:
    """Take the ranks apart at the end, so that the next job of a sweep joins its own and not the last one's."""
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
