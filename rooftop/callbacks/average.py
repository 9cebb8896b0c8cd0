"""A running mean of the weights: what is scored, kept and shipped."""

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average(WeightAveraging):
    """Exponential moving average of weights and batch-norm statistics.

    Single steps at a high learning rate throw the score of the test pictures about by ten points; their mean stands
    still (benchmarks/RECIPES.md). Differs from Lightning's EMAWeightAveraging in that the mean lies on the device of the
    training and is taken over all tensors at once; there it stays where the module was made, on the CPU.

    Args:
        decay: share of the mean that stays at each update, in (0, 1).
        every: steps between two updates.
    """

    def __init__(self, *, decay: float, every: int) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.every = every

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make room for the mean on the device of the training."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether this step counts."""
        return step_idx is not None and (step_idx + 1) % self.every == 0
