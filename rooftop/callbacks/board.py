"""What TensorBoard shows beside the scalars: the graph, a handful of panels an epoch, settings with final score."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard.writer import SummaryWriter

from rooftop.callbacks.sample import Shown, show
from rooftop.data.datamodule import RoofDataModule
from rooftop.plots.panels import panel


class Board(Callback):
    """Feeds the TensorBoard loggers of a run; without one it does nothing.

    Args:
        settings: flat settings of the run, for the table of hyperparameters.
        threshold: probability from which on a pixel is called roof.
        pictures: how many validation pictures are shown each epoch; always the same.
        graph: whether to draw the network; a compiled one cannot be traced.
    """

    def __init__(self, settings: dict[str, Any], *, threshold: float, pictures: int, graph: bool) -> None:
        self.settings, self.threshold, self.pictures, self.graph = settings, threshold, pictures, graph

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the graph, once."""
        if self.graph and trainer.current_epoch == 0:
            dataset = _data(trainer).dataset("train")
            image = dataset.normalised(dataset[0]).to(pl_module.device)
            for writer in _writers(trainer):
                _add_graph(writer, pl_module, image)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the handful of pictures."""
        writers = list(_writers(trainer))
        if not writers or trainer.sanity_checking:
            return
        for number, shown in enumerate(show(pl_module, _data(trainer).dataset("val"), self.pictures)):
            pixels = _panel(shown, self.threshold)
            for writer in writers:
                writer.add_image(f"val/{number}_{shown.name}", pixels, trainer.current_epoch, dataformats="HWC")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the settings beside the final score."""
        final = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.log_hyperparams(self.settings, final)


def _panel(shown: Shown, threshold: float) -> NDArray[np.uint8]:
    return panel(shown.picture, shown.truth, shown.probability, threshold=threshold)


def _add_graph(writer: SummaryWriter, task: LightningModule, image: torch.Tensor) -> None:
    was_training = task.training
    task.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns that the graph is that of one picture size: it is
        writer.add_graph(task, image)
    task.train(was_training)


def _data(trainer: Trainer) -> RoofDataModule:
    data: RoofDataModule = trainer.datamodule  # type: ignore[attr-defined]
    return data


def _writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            yield logger.experiment
