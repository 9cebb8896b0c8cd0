"""A running mean of the weights: what is scored, kept and shipped."""

from collections.abc import Sequence

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class Average(WeightAveraging):
    """Exponential moving average of weights and batch-norm statistics.

    Single steps at a high learning rate throw the score of the test pictures about by ten points; their mean stands
    still (benchmarks/RECIPES.md). Differs from Lightning's EMAWeightAveraging in three ways: a shorter memory at first
    lets the mean forget the random start; it lies on the device of the training, not on the CPU; and an update takes
    all tensors at once, without waiting for the device.

    Args:
        decay: share of the mean that stays at each step, in (0, 1); after n steps it is at most (n + 1) / (n + 10).
    """

    def __init__(self, *, decay: float) -> None:
        super().__init__(multi_avg_fn=self._update)
        self.decay, self._step = decay, 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make room for the mean on the device of the training."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:  # its counter is asked at each step, which must not wait for a GPU
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Every step counts."""
        self._step = self._step if step_idx is None else step_idx
        return step_idx is not None

    @torch.no_grad()
    def _update(self, means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        """Move the means towards the weights; whole numbers, such as counts of batches, are taken over."""
        if not means[0].is_floating_point():
            torch._foreach_copy_(list(means), list(weights))
            return
        stays = min(self.decay, (self._step + 1) / (self._step + 10))
        torch._foreach_lerp_(list(means), list(weights), 1 - stays)
