"""Where a training starts from, if not from random weights; a training that goes on restores its own after that."""

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

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
