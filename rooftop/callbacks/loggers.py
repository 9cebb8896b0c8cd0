"""What each kind of logger can take besides scalars: settings, pictures, curves, the final score.

TensorBoard, MLflow and Weights & Biases take pictures; any logger of Lightning takes settings and scalars. Loggers of
other packages get pictures if they have the method `log_image(key, images, step)` of Lightning's `WandbLogger`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger
from pytorch_lightning.trainer.states import TrainerFn

from rooftop.metrics.curve import Histogram, counts_at, precision_recall
from rooftop.plots.charts import precision_recall_picture

BOARD_POINTS = 8  # a logged curve has every eighth of the 1024 thresholds
CURVE = "val/precision_recall"


def takes_pictures(logger: Logger) -> bool:
    """Return whether `log_picture` does anything."""
    return isinstance(logger, TensorBoardLogger | MLFlowLogger) or callable(getattr(logger, "log_image", None))


def log_picture(trainer: Trainer, logger: Logger, name: str, pixels: NDArray[np.uint8]) -> None:
    """Log a picture of the present epoch.

    Args:
        trainer: knows the epoch and the step.
        logger: any; one that takes no pictures is left out.
        name: such as "val/0_tile".
        pixels: uint8 (H, W, 3).
    """
    if not trainer.is_global_zero:
        return
    epoch = shown_epoch(trainer)
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(name, pixels, epoch, dataformats="HWC")
    elif isinstance(logger, MLFlowLogger):
        run = str(logger.run_id)
        logger.experiment.log_image(run, pixels, artifact_file=f"pictures/{name}_epoch_{epoch:03d}.png")
    elif takes_pictures(logger):
        logger.log_image(name, [pixels], trainer.global_step)  # type: ignore[attr-defined]


def log_curve(trainer: Trainer, logger: Logger, found: Histogram) -> None:
    """Log a precision-recall curve: TensorBoard gets its points, others a picture."""
    if not trainer.is_global_zero or not takes_pictures(logger):
        return
    at, (precision, recall) = counts_at(found), precision_recall(found)
    if not isinstance(logger, TensorBoardLogger):
        log_picture(trainer, logger, CURVE, precision_recall_picture(recall, precision))
        return
    every = slice(None, None, BOARD_POINTS)
    columns = [np.asarray(part)[every].copy() for part in (at.tp, at.fp, at.tn, at.fn, precision, recall)]
    logger.experiment.add_pr_curve_raw(
        CURVE, *map(torch.from_numpy, columns), shown_epoch(trainer), num_thresholds=len(columns[0])
    )


def log_settings(trainer: Trainer, settings: Mapping[str, Any]) -> None:
    """Log all settings at the start. TensorBoard is left out: its table wants few of them, with the final score."""
    for logger in trainer.loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(settings))


def log_dials(trainer: Trainer, dials: Mapping[str, Any], final: Mapping[str, float]) -> None:
    """Log a row of TensorBoard's table HPARAMS. Other loggers have the final score among their scalars."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            logger.log_hyperparams(dict(dials), dict(final), trainer.global_step)


def close_loggers(trainer: Trainer) -> None:
    """End the run of loggers that have one for the whole process: the next job of a sweep starts its own."""
    for logger in trainer.loggers:
        finish = getattr(getattr(logger, "experiment", None), "finish", None)
        if callable(finish) and trainer.is_global_zero:
            finish()


def shown_epoch(trainer: Trainer) -> int:
    """Return the number of the present epoch as people count, from 1; after the training, that of its last one."""
    return int(trainer.current_epoch) + (trainer.state.fn == TrainerFn.FITTING)
