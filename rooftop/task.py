"""The LightningModule: network, loss, scores, optimizer and schedule are handed in; one step for three stages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

Batch = dict[str, Tensor]
STAGES = ("train", "val", "test")


class RooftopTask(LightningModule):
    """Trains a network on masks.

    `measured` holds the last scores of each stage in full precision, during training only those of this epoch; logged
    values are float32. The final score is logged under the name `final`.

    Args:
        network: normalised image (B, C, H, W) -> logits (B, K, H, W).
        loss: (logits, mask, valid) -> scalar.
        scores: makes an empty metric, updated with (prediction, mask, valid, losses).
        optimizer: parameters -> optimizer.
        schedule: (optimizer, steps of the training) -> Lightning's description of a scheduler; None keeps the rate.
        threshold: probability from which a pixel counts as roof.
        metrics: further scores by name, updated with the probability and the truth (0 or 1) of the valid pixels, both
            (N,), or (N, K) for several categories; logged as val/NAME and test/NAME.
        seed: seeds dropout in each step: a resumed run equals an uninterrupted one.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        scores: Callable[[], Metric],
        *,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer, int], dict[str, Any]] | None,
        threshold: float,
        seed: int,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.scores = nn.ModuleDict({f"{stage}_scores": scores() for stage in STAGES})
        own = metrics or {}
        self.metrics = nn.ModuleDict(
            {stage: nn.ModuleDict({name: own[name].clone() for name in own}) for stage in ("val", "test")}
        )
        self._optimizer, self._schedule = optimizer, schedule
        self.threshold, self._seed, self.final = threshold, seed, "test"
        self.measured: dict[str, dict[str, float]] = {}

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image (B, C, H, W) -> logits (B, K, H, W)."""
        return self.network(image)  # type: ignore[no-any-return]

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch; its counts are taken along."""
        logits = self.logits(batch)
        loss: Tensor = self.loss(logits.float(), batch["mask"], batch["valid"])
        with torch.no_grad():
            self._count("train", logits, batch, loss.detach().expand(len(logits)))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Count a validation batch."""
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, index: int) -> None:
        """Count a test batch."""
        self._evaluate("test", batch)

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before: not each is validated."""
        self.measured.clear()
        self._metric("train").reset()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout by batch and rank, independent of all earlier random numbers."""
        batches = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        torch.manual_seed(self._seed + 1_000_003 * batches + self.global_rank)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the training scores of an epoch without validation at its end."""
        every, epochs = self.trainer.check_val_every_n_epoch, self.current_epoch
        batches = batch_idx + 1 + (0 if every else epochs * int(self.trainer.num_training_batches))
        validated = not (epochs + 1) % (every or 1) and not batches % int(self.trainer.val_check_batch or 1)
        if self.trainer.is_last_batch and not validated:
            self._log("train")

    def on_validation_epoch_start(self) -> None:
        """Log the training scores of the epoch so far, for callbacks at its end."""
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._log("train")

    def on_validation_epoch_end(self) -> None:
        """Log the validation scores."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """Log the test scores."""
        self._log("test")

    def configure_optimizers(self) -> Any:
        """Optimizer over the trained parameters, with the schedule for the whole training."""
        optimizer = self.make_optimizer(parameter for parameter in self.parameters() if parameter.requires_grad)
        schedule = self.make_schedule(optimizer, lambda: int(self.trainer.estimated_stepping_batches))
        if schedule is None:
            return optimizer
        if "monitor" in schedule:  # which only epochs that are validated have
            schedule["frequency"] = self.trainer.check_val_every_n_epoch or 1
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Make the optimizer of other parameters, such as copies."""
        return self._optimizer(parameters)

    def make_schedule(self, optimizer: Optimizer, steps: Callable[[], int]) -> dict[str, Any] | None:
        """Make Lightning's description of the scheduler of an optimizer, or None if the rate is constant.

        Args:
            optimizer: its learning rate changes.
            steps: returns the optimizer steps of the whole training; called only if there is a schedule.
        """
        return None if self._schedule is None else self._schedule(optimizer, steps())

    def logits(self, batch: Batch) -> Tensor:
        """Return logits in the size of the truth; in evaluation, the size of the picture on disk."""
        layout = torch.channels_last if self.network_is_channels_last else torch.contiguous_format
        logits: Tensor = self(batch["image"].contiguous(memory_format=layout))
        size = batch["mask"].shape[-2:]
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits

    @property
    def network_is_channels_last(self) -> bool:
        """Report whether weights, and so pictures, are stored channels last."""
        weight = next((p for p in self.network.parameters() if p.ndim == 4 and p.shape[1] > 1), None)
        return weight is not None and weight.is_contiguous(memory_format=torch.channels_last)

    def _evaluate(self, stage: str, batch: Batch) -> None:
        logits = self.logits(batch).float()
        mask, valid = batch["mask"], batch["valid"]
        losses = [self.loss(logits[i, None], mask[i, None], valid[i, None]) for i in range(len(logits))]
        self._count(stage, logits, batch, torch.stack(losses))
        for metric in self._own(stage).values():
            metric.update(*valid_pixels(logits.sigmoid(), mask, valid, self._metric(stage).classes))

    def _count(self, stage: str, logits: Tensor, batch: Batch, losses: Tensor) -> None:
        prediction = logits.sigmoid() >= self.threshold
        self._metric(stage).update(prediction, batch["mask"], batch["valid"], losses)

    def _metric(self, stage: str) -> Any:
        return self.scores[f"{stage}_scores"]

    @property
    def own_metrics(self) -> list[str]:
        """Names of the further scores."""
        return list(self._own("test"))

    def _own(self, stage: str) -> dict[str, Any]:
        return dict(self.metrics[stage].items()) if stage in self.metrics else {}  # type: ignore[operator]

    def _log(self, stage: str) -> None:
        metric = self._metric(stage)
        result: dict[str, float] = metric.compute()
        for name, own in self._own(stage).items():
            result[name] = float(own.compute())
            own.reset()
        if stage != "train":  # whose epoch may go on
            metric.reset()
        self.measured[stage] = result
        if not self.trainer.sanity_checking:
            shown = self.final if stage == "test" else stage
            named = {f"{shown}/{name}": value for name, value in result.items()}
            named["epoch"] = float(self.current_epoch + (stage != "test"))  # from 1; Lightning's own would be from 0
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)


def valid_pixels(probability: Tensor, mask: Tensor, valid: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Take the valid pixels of the first K channels: of (B, C, H, W) and bool (B, H, W) twice (N,), or (N, K)."""
    taken = [values[:, :classes].movedim(1, -1)[valid] for values in (probability, mask.long())]
    return (taken[0][:, 0], taken[1][:, 0]) if classes == 1 else (taken[0], taken[1])
