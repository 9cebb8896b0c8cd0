"""Loggers beside the scalars: settings, a few panels per epoch, the final score; TensorBoard also gets the graph."""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard.writer import SummaryWriter

from rooftop.callbacks.loggers import log_dials, log_picture, log_settings, takes_pictures
from rooftop.data.datamodule import RoofDataModule
from rooftop.data.dataset import RoofDataset
from rooftop.plots.panels import panel
from rooftop.raster.bands import as_rgb
from rooftop.task import RooftopTask


class Shown(NamedTuple):
    """One picture for a panel, with several categories merged into one.

    Attributes:
        name: file name without suffix.
        picture: uint8 (H, W, 3).
        truth: uint8 (H, W), 1 = roof.
        probability: float32 (H, W) in [0, 1].
    """

    name: str
    picture: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    probability: NDArray[np.float32]


@torch.no_grad()
def show(task: LightningModule, dataset: RoofDataset, count: int) -> Iterator[Shown]:
    """Yield `count` pictures spread evenly over the split, with the current prediction."""
    categories = len(dataset.source.categories)
    for i in np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)):
        sample = dataset[int(i)]
        truth = sample["mask"][:categories].max(axis=0)
        logits = task(dataset.normalised(sample).to(task.device)).float()
        logits = F.interpolate(logits, size=truth.shape, mode="bilinear", align_corners=False)
        probability = logits.sigmoid()[0, :categories].amax(0).cpu().numpy()
        picture = dataset.source.picture(int(dataset.picks[i]))
        yield Shown(dataset.names[i].rpartition(".")[0], as_rgb(picture), truth, probability)


class Board(Callback):
    """Writes settings, panels and the final score to the loggers of a run, to each what it can take.

    Args:
        settings: flat settings of the run, for loggers with a list of them.
        dials: those of them for TensorBoard's table of hyperparameters, a column each.
        threshold: probability from which a pixel counts as roof.
        pictures: number of validation pictures per epoch; always the same ones.
        graph: draw the network in TensorBoard; impossible for a compiled one.
    """

    def __init__(
        self, settings: dict[str, Any], dials: dict[str, Any], *, threshold: float, pictures: int, graph: bool
    ) -> None:
        self.settings, self.dials = settings, dials
        self.threshold, self.pictures, self.graph = threshold, pictures, graph

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the settings, and draw the graph once."""
        log_settings(trainer, self.settings)
        if self.graph and trainer.current_epoch == 0:
            dataset = _data(trainer).dataset("train")
            image = dataset.normalised(dataset[0]).to(pl_module.device)
            for writer in _writers(trainer):
                _add_graph(writer, pl_module, image)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the validation pictures."""
        loggers = [logger for logger in trainer.loggers if takes_pictures(logger)]
        if not loggers or trainer.sanity_checking or not trainer.is_global_zero:
            return
        for number, shown in enumerate(show(pl_module, _data(trainer).dataset("val"), self.pictures)):
            pixels = panel(shown.picture, shown.truth, shown.probability, threshold=self.threshold)
            for logger in loggers:
                log_picture(trainer, logger, f"val/{number}_{shown.name}", pixels)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the settings with the final score."""
        assert isinstance(pl_module, RooftopTask)
        names = {f"{pl_module.final}/{name}" for name in pl_module.measured["test"]}
        log_dials(trainer, self.dials, {name: float(trainer.callback_metrics[name]) for name in sorted(names)})


def _add_graph(writer: SummaryWriter, task: LightningModule, image: torch.Tensor) -> None:
    was_training = task.training
    task.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of one fixed picture size, as wanted
        writer.add_graph(task, image)
    task.train(was_training)


def _data(trainer: Trainer) -> RoofDataModule:
    data: RoofDataModule = trainer.datamodule  # type: ignore[attr-defined]
    return data


def _writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            yield logger.experiment
