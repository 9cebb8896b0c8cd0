"""A training, built from the configuration of `train.py`: data, task, card and trainer; then fit and test."""

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback, LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn
from torchmetrics import Metric

from rooftop import losses, schedules
from rooftop.callbacks import AtomicCheckpoints, Board, ChooseThreshold, History, RequireValidation, WriteRun
from rooftop.callbacks.best_weights import find_keeper, require_validated
from rooftop.callbacks.loggers import close_loggers
from rooftop.callbacks.resume import require_resumable, require_weights
from rooftop.config import build, choices, flat, overrides, plain, save_config, shell_setting, typed_command
from rooftop.config.schema import SCORES
from rooftop.data import RoofDataModule
from rooftop.data.sampling import Key
from rooftop.errors import ConfigError
from rooftop.files import clear_leftovers
from rooftop.memory import keep_freed_memory
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.run import CARD, Card
from rooftop.task import RooftopTask, valid_pixels

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)
USUAL_DIALS = (
    *("data", "model", "loss", "optimizer", "scheduler", "augmentation"),
    *("model.depth", "model.width", "optimizer.lr", "data.batch_size", "trainer.max_epochs", "seed"),
)
NO_DIALS = ("logger", "pictures", "resume", "data.root", "data.cache", "data.workers", "callbacks.progress", "hydra")
_SCORES = {name.partition("/")[2] for name in SCORES}


def begin(seed: int) -> None:
    """Seed all random numbers and prepare the process for a long training."""
    warnings.filterwarnings("ignore", module="pytorch_lightning")  # about its own parts
    keep_freed_memory()
    pl.seed_everything(seed, workers=True, verbose=False)


def make_data(cfg: "DictConfig") -> RoofDataModule:
    """Make the data module and open all splits: their faults show before anything else is built."""
    data = RoofDataModule(plain(cfg.data), operations=build(cfg.augmentation, "augmentation"), seed=cfg.seed)
    data.setup("fit")
    data.setup("test")
    return data


def make_task(cfg: "DictConfig", data: RoofDataModule) -> RooftopTask:
    """Make the LightningModule: network, loss, scores, optimizer and schedule.

    Raises:
        ConfigError: network, loss, optimizer or scheduler refuse a value, or do not fit.
    """
    channels = cfg.model.get("in_channels")
    if channels not in (None, data.channels):
        raise ConfigError(
            f"model.in_channels={channels}, but pictures have {data.channels} bands; set it to null, or change "
            "data.bands."
        )
    network = build(cfg.model, "model", in_channels=data.channels, classes=data.classes)
    _check_network(network, data)
    if cfg.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if cfg.compile:
        network.compile()
    optimizer = build({**plain(cfg.optimizer), "_partial_": True}, "optimizer")
    try:
        tried = optimizer(network.parameters())  # refuses values here, not after the trainer has set up
    except (ValueError, TypeError) as error:
        raise ConfigError(f"optimizer ({_numbers(cfg.optimizer)}): {error}") from error
    task = RooftopTask(
        network,
        losses.fitted(build(cfg.loss, "loss"), data.classes),
        partial(PixelScores, len(data.categories)),
        optimizer=optimizer,
        schedule=_make_schedule(cfg, tried) if cfg.scheduler else None,
        threshold=cfg.threshold,
        seed=cfg.seed,
        metrics=_make_metrics(cfg, len(data.categories)),
    )
    task.final = "test" if data.test_split == "test" else f"{data.test_split}_best"
    return task


def _check_network(network: Any, data: RoofDataModule) -> None:
    """Try a network with parts of other packages on one picture of the training's size.

    Raises:
        ConfigError: it fails, or returns no logits.
    """
    if not isinstance(network, nn.Module):
        raise ConfigError(f"model: {type(network).__name__} is no torch.nn.Module; name a network.")
    if all(type(each).__module__.startswith(("rooftop.", "torch.nn.")) for each in network.modules()):
        return
    size = data.dataset("train")[Key(0, 0)]["valid"].shape
    try:
        with torch.no_grad():
            logits = network.eval()(torch.zeros(1, data.channels, *size))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ConfigError(f"model: the network fails on a picture of {size[0]} x {size[1]} px: {reason}") from error
    finally:
        network.train()
    found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if not isinstance(found, tuple) or len(found) != 4 or found[:2] != (1, data.classes):
        raise ConfigError(f"model: the network returns {found}, not a tensor of logits, (1, {data.classes}, H, W).")


def _make_metrics(cfg: "DictConfig", classes: int) -> dict[str, Metric]:
    """Make the further scores by name, each tried on a small example.

    Raises:
        ConfigError: a name is taken, or the score does not work, or is not one number.
    """
    made: dict[str, Metric] = {}
    probability = torch.linspace(0.1, 0.9, 8 * classes).reshape(1, classes, 2, 4)
    example = probability, (probability > 0.4).long(), torch.ones(1, 2, 4, dtype=torch.bool)
    for name, node in (cfg.get("metrics") or {}).items():
        if node is None:
            continue
        if name in _SCORES:
            raise ConfigError(f"metrics.{name}: the trainer has a score of this name; choose another one.")
        metric = build(node, f"metrics.{name}")
        try:
            metric.update(*valid_pixels(*example, classes))
            float(metric.compute())
            metric.reset()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ConfigError(
                f"metrics.{name}: {reason}; it needs update(probability, truth), and one number."
            ) from error
        made[name] = metric
    return made


def _make_schedule(cfg: "DictConfig", optimizer: torch.optim.Optimizer) -> Any:
    """Make the schedule, and try it on an optimizer that is not used further.

    Raises:
        ConfigError: it refuses a value.
    """
    make = build({**plain(cfg.scheduler), "_partial_": True}, "scheduler")
    schedule = schedules.fitted(make, monitor=cfg.monitor.name, mode=cfg.monitor.mode)
    try:
        schedule(optimizer, 1000)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"scheduler ({cfg.scheduler['_target_']}: {_numbers(cfg.scheduler)}): {reason}") from error
    return schedule


def _numbers(node: "DictConfig") -> str:
    """List the settings of a node, for a message."""
    return ", ".join(f"{name}={value}" for name, value in plain(node).items() if not name.startswith("_"))


def make_trainer(cfg: "DictConfig", folder: Path, *, card: Card, history: History) -> pl.Trainer:
    """Make the trainer with callbacks and loggers by name; a name set to null is left out.

    Raises:
        ConfigError: an accelerator unfit for training, or a schedule without a known length.
    """
    _check_schedule(cfg)
    board = Board(flat(cfg), dials(flat(cfg)), threshold=cfg.threshold, pictures=cfg.pictures, graph=not cfg.compile)
    choose = [ChooseThreshold()] if cfg.choose_threshold else []
    # after the first epoch: by then the other ranks have read the old file to compose the same command
    record = LambdaCallback(on_train_epoch_end=rank_zero_only(lambda *_: save_config(cfg, folder)))
    finish = WriteRun(folder, card, history, pictures=cfg.pictures)
    loggers = [build(node, f"logger.{name}") for name, node in cfg.logger.items() if node]
    named = [build(node, f"callbacks.{name}") for name, node in cfg.callbacks.items() if node]
    if not loggers:  # LearningRateMonitor raises without a logger
        named = [each for each in named if not isinstance(each, LearningRateMonitor)]
    return build(  # type: ignore[no-any-return]
        cfg.trainer,
        "trainer",
        accelerator=_accelerator(cfg.trainer.get("accelerator", "auto")),
        default_root_dir=str(folder),
        # order matters: pictures are drawn before the average of the weights is swapped back
        callbacks=[history, RequireValidation(), board, *choose, *([record] if cfg.resume else []), finish, *named],
        logger=loggers or False,
        plugins=[AtomicCheckpoints()],
        enable_progress_bar=cfg.callbacks.get("progress") is not None,  # else Lightning adds its own
    )


def dials(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the settings for TensorBoard's table of hyperparameters: those typed, as in a sweep, and the usual ones.

    Args:
        settings: flat settings of the run.
    """
    chosen = choices()
    typed = [word.lstrip("+~").partition("=")[0] for word in overrides()]
    wanted = dict.fromkeys([*USUAL_DIALS, *(key for key in typed if not key.startswith(NO_DIALS))])
    known = {key: chosen.get(key, settings.get(key)) for key in wanted}
    return {key: value for key, value in known.items() if value is not None}


def _check_schedule(cfg: "DictConfig") -> None:
    every, epochs = cfg.trainer.get("check_val_every_n_epoch", 1), cfg.trainer.get("max_epochs")
    if not every and "plateau" in str((cfg.scheduler or {}).get("_target_")).lower():
        raise ConfigError("trainer.check_val_every_n_epoch=null: plateau needs a score after each epoch; set it to 1.")
    if cfg.scheduler and not epochs and cfg.trainer.get("max_steps", -1) in (None, -1):
        raise ConfigError(
            "trainer.max_epochs=null: a schedule needs the length of the training; give trainer.max_epochs, "
            "+trainer.max_steps, or scheduler=none."
        )


def _accelerator(name: str) -> str:
    """Choose the accelerator. Lightning takes an Apple GPU for `gpu` and `auto`, but it lacks float64."""
    apple = not torch.cuda.is_available() and torch.backends.mps.is_available()
    if name == "mps" or (name == "gpu" and apple):
        raise ConfigError(
            f"trainer.accelerator={name}: Apple's GPUs lack float64, needed to sum scores; take cpu or auto."
        )
    if name == "auto" and apple:
        log.info("training on the CPU: Apple's GPUs lack float64, needed to sum scores")
        return "cpu"
    return name


def make_card(cfg: "DictConfig", task: RooftopTask, data: RoofDataModule) -> Card:
    """Make the card: everything prediction needs beside the weights. Scores follow after the test."""
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
    """Refuse to start over in the folder of an interrupted training.

    Args:
        folder: the run folder.
        again: starting over is allowed, as for the jobs of a repeated sweep.

    Raises:
        ConfigError: the folder contains checkpoints, but no card: the training did not finish.
    """
    if (folder / CARD).exists():
        log.warning("%s contains a finished run; it is replaced (resume=RUN continues a run)", folder)
    elif (folder / "checkpoints" / "last.ckpt").exists() and not again and not _requeued(folder):
        raise ConfigError(
            f"{folder} contains an interrupted training; resume it: {typed_command('train')} "
            f"{shell_setting('resume', folder)}; "
            "to start over, delete its checkpoints or set another hydra.run.dir."
        )


def _requeued(folder: Path) -> bool:
    """Report whether a cluster has requeued this training; Lightning then resumes by itself."""
    return any(folder.glob("hpc_ckpt_*.ckpt"))


def fit_and_test(trainer: pl.Trainer, task: RooftopTask, data: RoofDataModule, *, resume: bool) -> None:
    """Train, or resume from the last checkpoint; then test the best weights.

    Raises:
        ConfigError: the trainer would keep no weights, or has kept none.
        RunError: a checkpoint is damaged, contains code, or is of another training.
    """
    checkpoints = Path(trainer.default_root_dir) / "checkpoints"
    best, last = checkpoints / "best.ckpt", checkpoints / "last.ckpt"
    history = next(each for each in trainer.callbacks if isinstance(each, History))  # type: ignore[attr-defined]
    keeper = find_keeper(trainer, best, history)
    if trainer.is_global_zero and checkpoints.is_dir():
        clear_leftovers(checkpoints)
    if resume:
        _check_that_epochs_are_left(trainer, require_resumable(last, trainer, task))
        if best.exists():
            require_weights(best, task)
    elif not _requeued(Path(trainer.default_root_dir)):
        for stale in (best, last):  # of an earlier training in this folder
            stale.unlink(missing_ok=True)
    with own_process_group(), _exit_code_of_signal(trainer):
        trainer.fit(task, data, ckpt_path=last if resume else None, weights_only=True)
        require_validated(history, last.parents[1])
        # ranks started by a cluster have folders of their own; the first rank's folder counts
        task.load_state_dict(require_weights(Path(keeper.dirpath or "") / best.name, task))
        trainer.test(task, data, verbose=False)
        close_loggers(trainer)
        finish = next(each for each in trainer.callbacks if isinstance(each, WriteRun))  # type: ignore[attr-defined]
        finish.report(logged=any(isinstance(each, TensorBoardLogger) for each in trainer.loggers))


def _check_that_epochs_are_left(trainer: pl.Trainer, done: int) -> None:
    if 0 < (trainer.max_epochs or 0) < done:
        raise ConfigError(
            f"trainer.max_epochs={trainer.max_epochs}: the run has {done} epochs already; give {done} to finish it, or "
            "more to continue."
        )


@contextmanager
def _exit_code_of_signal(trainer: pl.Trainer) -> Iterator[None]:
    """Leave a stopped training with the exit code of a shell; after SIGTERM Lightning's is 0, as of a finished one.

    Ranks beyond the first still end with 0: at any other code Lightning kills the first one before it is done.
    """
    try:
        yield
    except SystemExit as leave:
        causes = (leave, leave.__context__)
        stopped = {SIGTERMException: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}
        number = next((stopped[kind] for kind in stopped if any(isinstance(each, kind) for each in causes)), None)
        if number is None:
            raise
        raise SystemExit(128 + number if trainer.is_global_zero else 0) from leave


@contextmanager
def own_process_group() -> Iterator[None]:
    """Destroy the process group at the end: the next job of a sweep makes its own."""
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
