"""Start weights of a training, from ImageNet or from a run, and frozen encoder levels.

A resumed training restores its own weights after the start weights.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from rooftop.config import shell_list
from rooftop.data.prepare import Preparation
from rooftop.errors import ConfigError, first_names
from rooftop.run import load


class ImageNetStart(Callback):
    """Loads published weights, such as ImageNet's, into the encoder: by the network's method `load_published()`."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load them.

        Raises:
            ConfigError: the network has no published weights, or they are not on this machine.
        """
        if stage != "fit":
            return
        network: Any = pl_module.network
        if not hasattr(network, "load_published"):
            raise ConfigError("callbacks.start: the network has no encoder with ImageNet weights; set it to null.")
        network.load_published()


class RunStart(Callback):
    """Fine-tuning: loads the weights of a finished run into the network before the first step.

    Args:
        run: a run folder with the same network and preparation. Targets unknown here are dropped; targets unknown to
            the run start from random weights.

    Raises:
        RunError: the run is missing or damaged.
    """

    def __init__(self, *, run: str) -> None:
        self.run = load(run)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load them.

        Raises:
            ConfigError: the run has another network, or another normalisation of pictures.
        """
        if stage != "fit":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        learned, here = Preparation.of(self.run.card.preparation), data.preparation
        if (learned.mean, learned.std) != (here.mean, here.std):
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} was trained with other values of data.mean and data.std; "
                f"set {shell_list('data.mean', learned.mean)} {shell_list('data.std', learned.std)}."
            )
        if learned.scale and learned.scale != here.scale:
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} was trained with another data.scale; "
                f"set {shell_list('data.scale', learned.scale)}."
            )
        self._check_categories(data.categories, data.learnable_categories)
        network: Any = pl_module.network
        try:
            network.load_state_dict(self._fitted(network.state_dict(), data.targets))
        except RuntimeError as error:
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} has another network; choose model=, data.categories and "
                f"data.targets to match its card: {self.run.card.network}."
            ) from error

    def _check_categories(self, here: Sequence[str], learnable: Sequence[str]) -> None:
        """Compare categories by name; a single category may have another name.

        Args:
            here: those of this training.
            learnable: those that `data.categories` can choose.
        """
        known = self.run.card.categories
        if len(known) == len(here) and (len(here) == 1 or list(known) == list(here)):
            return
        fitting = known if {*known} <= {*learnable} else here[:1] if len(known) == 1 else []
        remedy = (
            f"set {shell_list('data.categories', fitting)}" if fitting else "start without it: callbacks.start=null"
        )
        raise ConfigError(
            f"callbacks.start.run={self.run.folder} was trained on the categories {first_names(known)}, not "
            f"{first_names(here)}; {remedy}."
        )

    def _fitted(self, here: dict[str, Tensor], targets: Sequence[str]) -> dict[str, Tensor]:
        """Return the run's weights, with the output layers cut or extended to the targets of this training.

        Targets unknown to the run keep the weights of this network.

        Raises:
            ConfigError: neither list of targets begins with the other.
        """
        weights: dict[str, Tensor] = self.run.network.state_dict()
        known, kinds = self.run.card.targets, len(self.run.card.categories)
        shared = min(len(known), len(targets))
        if known[:shared] != list(targets[:shared]):
            raise ConfigError(
                f"callbacks.start.run={self.run.folder} was trained on {known}, not {list(targets)}; set data.targets: "
                "one of the two lists must begin with the other."
            )
        for name, weight in weights.items():
            mine, rest = here.get(name), weight.shape[1:]
            sizes = (len(known) * kinds, *rest), (len(targets) * kinds, *rest)
            if mine is not None and (weight.shape, mine.shape) == sizes:
                weights[name] = torch.cat([weight[: shared * kinds].to(mine), mine[shared * kinds :]])
        return weights


class Freeze(Callback):
    """Freezes the first levels of an encoder: no gradients, and batch norm keeps its statistics.

    The first levels have the largest maps and detect edges and colours, the same in each town. On a CPU a step of the
    shipped network takes two thirds of the time with two frozen levels (benchmarks/results_train.md).

    The network's method `upper(levels)` returns the modules to freeze.

    Args:
        levels: number of frozen levels, from the input on.
    """

    def __init__(self, *, levels: int) -> None:
        self.levels = levels
        self._frozen: list[nn.Module] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Freeze the levels.

        Raises:
            ConfigError: the network has no encoder, or fewer levels.
        """
        if stage != "fit":
            return
        network: Any = pl_module.network
        if not hasattr(network, "upper"):
            raise ConfigError("callbacks.freeze: the network has no encoder; set it to null, or choose another model.")
        self._frozen = network.upper(self.levels)
        for module in self._frozen:
            module.requires_grad_(False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the statistics of batch norm; the Trainer returns to this mode after each validation."""
        for module in self._frozen:
            module.eval()
