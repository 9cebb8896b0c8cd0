"""All of a training, built out of the configuration of `train.py`: data, task, trainer and card; then fit and test."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from rooftop.callbacks import Board, ChooseThreshold, History, WholeCheckpoints, WriteRun
from rooftop.config import build, flat, plain, save_config, shell_setting
from rooftop.data import RoofDataModule
from rooftop.errors import ConfigError
from rooftop.memory import keep_freed_memory
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.run import CARD, Card, read_checkpoint
from rooftop.task import RooftopTask

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def begin(seed: int) -> None:
    """Seed everything, and set the process up for hours of training."""
    warnings.filterwarnings("ignore", module="pytorch_lightning")  # its notes on its own parts are not ours to mend
    keep_freed_memory()
    pl.seed_everything(seed, workers=True, verbose=False)


def make_data(cfg: "DictConfig") -> RoofDataModule:
    """The data module, with all splits opened, so that faults show before anything is built."""
    data = RoofDataModule(plain(cfg.data), operations=build(cfg.augmentation, "augmentation"), seed=cfg.seed)
    data.setup("fit")
    data.setup("test")
    return data


def make_task(cfg: "DictConfig", data: RoofDataModule) -> RooftopTask:
    """The network with all that trains it.

    Raises:
        ConfigError: a value that network, loss or optimizer refuse.
    """
    asked = cfg.model.get("in_channels")
    if asked not in (None, data.channels):
        raise ConfigError(
            f"model.in_channels={asked}, but pictures have {data.channels} bands; set it to null, or name as many by "
            "data.bands."
        )
    network = build(cfg.model, "model", in_channels=data.channels, classes=data.classes)
    if cfg.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if cfg.compile:
        network.compile()
    optimizer = build(cfg.optimizer, "optimizer")
    try:
        optimizer(network.parameters())  # refuses values here, not after the trainer has set up
    except (ValueError, TypeError) as error:
        raise ConfigError(f"optimizer ({_numbers(cfg.optimizer)}): {error}") from error
    return RooftopTask(
        network,
        build(cfg.loss, "loss"),
        partial(PixelScores, len(data.categories)),
        optimizer=optimizer,
        schedule=build(cfg.scheduler, "scheduler"),
        threshold=cfg.threshold,
        seed=cfg.seed,
    )


def _numbers(node: "DictConfig") -> str:
    """The settings of a node whose target has refused one of them."""
    return ", ".join(f"{name}={value}" for name, value in plain(node).items() if not name.startswith("_"))


def make_trainer(cfg: "DictConfig", folder: Path, *, card: Card, history: History) -> pl.Trainer:
    """The trainer with callbacks and loggers by name; a name set to null drops out.

    Raises:
        ConfigError: an accelerator that cannot train, or no epoch that would be validated.
    """
    _check_length(cfg)
    board = Board(flat(cfg), threshold=cfg.threshold, pictures=cfg.pictures, graph=not cfg.compile)
    choose = [ChooseThreshold()] if cfg.choose_threshold else []
    # once it has trained an epoch with them; other ranks, which compose the same command, have started by then
    record = LambdaCallback(on_train_epoch_end=rank_zero_only(lambda *_: save_config(cfg, folder)))
    finish = WriteRun(folder, card, history, pictures=cfg.pictures)
    loggers = [build(node, f"logger.{name}") for name, node in cfg.logger.items() if node]
    named = [build(node, f"callbacks.{name}") for name, node in cfg.callbacks.items() if node]
    if not loggers:  # Lightning's monitor refuses to work when there is nobody to tell
        named = [each for each in named if not isinstance(each, LearningRateMonitor)]
    return build(  # type: ignore[no-any-return]
        cfg.trainer,
        "trainer",
        accelerator=_accelerator(cfg.trainer.get("accelerator", "auto")),
        default_root_dir=str(folder),
        # pictures are drawn before the mean of the weights is swapped back
        callbacks=[history, board, *choose, *([record] if cfg.resume else []), finish, *named],
        logger=loggers or False,
        plugins=[WholeCheckpoints()],
        enable_progress_bar=cfg.callbacks.get("progress") is not None,  # else Lightning would add one of its own
    )


def _check_length(cfg: "DictConfig") -> None:
    every, epochs = cfg.trainer.get("check_val_every_n_epoch", 1), cfg.trainer.get("max_epochs")
    if every and epochs and every > epochs:
        raise ConfigError(
            f"trainer.check_val_every_n_epoch={every} is more than trainer.max_epochs={epochs}, so that no epoch would "
            "be validated and no weights kept; lower it."
        )
    if not every and "plateau" in str((cfg.scheduler or {}).get("_target_")):
        raise ConfigError(
            "trainer.check_val_every_n_epoch=null leaves epochs without the score that plateau waits for."
        )
    if cfg.scheduler and not epochs and cfg.trainer.get("max_steps", -1) in (None, -1):
        raise ConfigError(
            "trainer.max_epochs=null: a schedule has to know how long the training is; give trainer.max_epochs, "
            "+trainer.max_steps, or scheduler=none."
        )


def _accelerator(asked: str) -> str:
    """What to train on: `gpu` and `auto` would be Lightning's words for an Apple GPU too, which cannot."""
    apple = not torch.cuda.is_available() and torch.backends.mps.is_available()
    if asked == "mps" or (asked == "gpu" and apple):
        raise ConfigError(
            f"trainer.accelerator={asked}: Apple's GPUs know no float64, in which scores are summed; take cpu or auto."
        )
    if asked == "auto" and apple:
        log.info("training on the CPU: Apple's GPUs know no float64, in which scores are summed")
        return "cpu"
    return asked


def make_card(cfg: "DictConfig", task: RooftopTask, data: RoofDataModule) -> Card:
    """What prediction will need to know."""
    sizes = {split: len(data.dataset(split)) for split in ("train", "val", data.test_split)}
    return Card(
        network={**plain(cfg.model), "in_channels": data.channels, "classes": data.classes},
        preparation=data.preparation.plain(),
        categories=list(data.categories),
        targets=list(data.targets),
        threshold=cfg.threshold,
        gsd=cfg.data.gsd,
        gsd_range=list(cfg.data.window.gsd) if cfg.data.window else None,
        data={"name": cfg.data.name, "pictures": sizes},
    )


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
