"""What trains a network, built out of the configuration: data, task, trainer and card."""

import logging
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback, LearningRateMonitor
from pytorch_lightning.utilities import rank_zero_only

from rooftop.callbacks import Board, ChooseThreshold, History, WholeCheckpoints, WriteRun
from rooftop.config import build, flat, keep_settings, plain
from rooftop.data import RoofDataModule
from rooftop.errors import ConfigError
from rooftop.memory import keep_freed_memory
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.run import Card
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
    record = LambdaCallback(on_train_epoch_end=rank_zero_only(lambda *_: keep_settings(cfg, folder)))
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
