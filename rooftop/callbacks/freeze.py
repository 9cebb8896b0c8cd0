"""Levels of a pretrained encoder that stay as they are, so that a training needs less time and forgets less."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from rooftop.errors import ConfigError
from rooftop.models.encoder_unet import EncoderUNet


class Freeze(Callback):
    """Keeps the upper levels of an encoder: no gradient, and batch norm with the statistics that it has.

    The first levels are the largest maps and know edges and colours, which need no town of their own. On a CPU a step
    of the shipped network takes two thirds of the time with two levels frozen (benchmarks/results_train.md).

    Args:
        levels: how many of the encoder's five, from the top.

    Raises:
        ConfigError: more levels than there are.
    """

    def __init__(self, *, levels: int) -> None:
        if not 0 <= levels <= 5:
            raise ConfigError(f"callbacks.freeze.levels={levels}: an encoder has 5 levels; choose 0 to 5.")
        self.levels = levels
        self._frozen: list[nn.Module] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the levels out of the training.

        Raises:
            ConfigError: the network has no encoder.
        """
        if stage != "fit":
            return
        network: Any = pl_module.network
        if not isinstance(network, EncoderUNet):
            raise ConfigError("callbacks.freeze: the network has no encoder; set it to null, or choose another model.")
        self._frozen = network.encoder.upper(self.levels)
        for module in self._frozen:
            module.requires_grad_(False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hold the statistics of batch norm; the Trainer comes back to this after each validation."""
        for module in self._frozen:
            module.eval()
