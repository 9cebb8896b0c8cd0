"""A callback of Lightning."""

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class GradientNorm(Callback):
    """Logs the length of the gradient once per epoch."""

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure it before it is clipped."""
        gradients = [each.grad.flatten() for each in pl_module.parameters() if each.grad is not None]
        pl_module.log("gradient_norm", torch.cat(gradients).norm(), on_step=False, on_epoch=True)
