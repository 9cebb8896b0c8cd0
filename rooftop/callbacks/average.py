"""Exponential moving average of the weights: the weights to score, keep and ship."""

from collections.abc import Sequence

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class Average(WeightAveraging):
    """Exponential moving average of weights and batch-norm statistics.

    At a high learning rate the test score jumps by ten points from step to step; the score of the average is steady
    (benchmarks/RECIPES.md). Three differences from Lightning's EMAWeightAveraging: a shorter memory at first, to
    forget the random start; the average stays on the device of the training; an update handles all tensors at once,
    without waiting for the device.

    Args:
        decay: share of the average kept at each step, in (0, 1); after n steps at most (n + 1) / (n + 10).
    """

    def __init__(self, *, decay: float) -> None:
        super().__init__(multi_avg_fn=self._update)
        self.decay, self._step = decay, 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Allocate the average on the device of the training."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:  # its counter is read at each step: no wait for a GPU
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Update at every step."""
        self._step = self._step if step_idx is None else step_idx
        return step_idx is not None

    @torch.no_grad()
    def _update(self, means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        """Move the averages towards the weights; integers, such as batch counts, are copied."""
        if not means[0].is_floating_point():
            torch._foreach_copy_(list(means), list(weights))
            return
        stays = min(self.decay, (self._step + 1) / (self._step + 10))
        torch._foreach_lerp_(list(means), list(weights), 1 - stays)
