"""Where a training starts from, if not from random weights; a training that goes on restores its own after that.

Levels of a pretrained encoder that stay as they are, so that a training needs less time and forgets less.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from rooftop.data.prepare import Preparation
from rooftop.errors import ConfigError
from rooftop.models.efficientnet import load_imagenet
from rooftop.models.encoder_unet import EncoderUNet
from rooftop.run import load


class ImageNetStart(Callback):
    """Puts ImageNet weights into the encoder before the first step."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load them.

        Raises:
            ConfigError: the network has no such encoder, or the package with the weights is not installed.
        """
        if stage != "fit":
            return
        network = getattr(pl_module, "network", None)
        if not isinstance(network, EncoderUNet):
            raise ConfigError("callbacks.start: the network has no encoder with ImageNet weights; set it to null.")
        load_imagenet(network.encoder)


class RunStart(Callback):
    """Puts the weights of a finished run into the network before the first step, to be trained on (fine-tuning).

    Args:
        run: a run folder, whose network and preparation have to be those of this training. It may have learned more
            targets, which are dropped, or fewer: the others start from random weights.

    Raises:
        RunError: no such run, or a damaged one.
    """

    def __init__(self, *, run: str) -> None:
        self.run = load(run)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load them.

        Raises:
            ConfigError: the run's network is another one, or it saw pictures otherwise normalised.
        """
        if stage != "fit":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        learned, here = Preparation.of(self.run.card.preparation), data.preparation
        if (learned.mean, learned.std) != (here.mean, here.std):
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has learned with other values than data.mean and data.std; "
                f"set data.mean={list(learned.mean)} data.std={list(learned.std)}."
            )
        if learned.scale and learned.scale != here.scale:
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has learned with another scale than data.scale; "
                f"set 'data.scale={[list(pair) for pair in learned.scale]}'."
            )
        self._check_categories(data.categories)
        network: Any = pl_module.network
        try:
            network.load_state_dict(self._fitted(network.state_dict(), data.targets))
        except RuntimeError as error:
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has another network; choose model=, data.categories and "
                f"data.targets so that they give that of its card: {self.run.card.network}."
            ) from error

    def _check_categories(self, here: Sequence[str]) -> None:
        """One category may have another name here; of several each has to find its own weights."""
        known = self.run.card.categories
        if len(known) != len(here) or (len(here) > 1 and list(known) != list(here)):
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has learned the categories {known}, not {list(here)}; set "
                f"data.categories={known}."
            )

    def _fitted(self, here: dict[str, Tensor], targets: Sequence[str]) -> dict[str, Tensor]:
        """Weights of the run; what makes logits has the channels of the targets that are learned here.

        Those that the run did not learn come from the network as it is.

        Raises:
            ConfigError: neither list of targets begins with the other.
        """
        weights: dict[str, Tensor] = self.run.network.state_dict()
        known, kinds = self.run.card.targets, len(self.run.card.categories)
        shared = min(len(known), len(targets))
        if known[:shared] != list(targets[:shared]):
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has learned {known}, not {list(targets)}; set data.targets so "
                "that one of the two begins with the other."
            )
        for name, weight in weights.items():
            mine, rest = here.get(name), weight.shape[1:]
            sizes = (len(known) * kinds, *rest), (len(targets) * kinds, *rest)
            if mine is not None and (weight.shape, mine.shape) == sizes:
                weights[name] = torch.cat([weight[: shared * kinds].to(mine), mine[shared * kinds :]])
        return weights


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
