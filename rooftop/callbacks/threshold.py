"""The threshold of highest validation IoU, chosen for the best weights before the test."""

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from rooftop.callbacks.loggers import log_curve
from rooftop.data.datamodule import RoofDataModule
from rooftop.metrics.curve import Histogram, best_threshold, histogram
from rooftop.raster.probability import STEP
from rooftop.task import RooftopTask


class ChooseThreshold(Callback):
    """Sets the task's threshold to that of highest validation IoU; loggers get the precision-recall curve."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Predict the validation split once more: each rank its part; counts are summed over ranks."""
        assert isinstance(pl_module, RooftopTask)
        found = _summed(trainer, _histogram(trainer, pl_module))
        if found.positive.any():
            # rounded to a step of stored probabilities: scenes and pictures get equal masks
            pl_module.threshold = min(max(round(best_threshold(found) / STEP), 1), round(1 / STEP) - 1) * STEP
        for logger in trainer.loggers:
            log_curve(trainer, logger, found)


@torch.no_grad()
def _histogram(trainer: Trainer, task: RooftopTask) -> Histogram:
    data: RoofDataModule = trainer.datamodule  # type: ignore[attr-defined]
    found = Histogram()
    for batch in data.val_dataloader():
        batch = trainer.strategy.batch_to_device(batch)
        with trainer.precision_plugin.forward_context():
            logits = task.logits(batch)
        probability, mask = (part[:, : len(data.categories)] for part in (logits.float().sigmoid(), batch["mask"]))
        valid = batch["valid"].unsqueeze(1).expand(probability.shape)
        found += histogram(*(part.flatten(0, 2).cpu().numpy() for part in (probability, mask, valid)))
    return found


def _summed(trainer: Trainer, found: Histogram) -> Histogram:
    parts = [_over_ranks(trainer, torch.from_numpy(part)) for part in (found.negative, found.positive, found.mass)]
    negative, positive, mass = (part.cpu().numpy() for part in parts)
    return Histogram(negative, positive, mass)


def _over_ranks(trainer: Trainer, part: Tensor) -> Tensor:
    total: Tensor = trainer.strategy.reduce(part.to(trainer.strategy.root_device), reduce_op="sum")
    return total
