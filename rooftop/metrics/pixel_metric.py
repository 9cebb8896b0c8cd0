"""Pixel scores while training: counts summed over the split and over all ranks, then divided."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from rooftop.metrics.pixel import Counts, scores


class PixelScores(Metric):
    """Counts of hits and misses for K categories, and the mean loss over pictures.

    Args:
        classes: K; channels beyond these are other targets: learned, but not scored.
    """

    full_state_update = False
    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor
    loss: Tensor
    pictures: Tensor

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        for name in ("tp", "fp", "fn", "tn"):
            self.add_state(name, torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pictures", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, mask: Tensor, valid: Tensor, losses: Tensor) -> None:
        """Add a batch.

        Args:
            prediction: bool (B, C, H, W), the K categories first.
            mask: 0 and 1, (B, C, H, W).
            valid: bool (B, H, W); a picture without a valid pixel does not count.
            losses: float (B,), one a picture.
        """
        seen = valid.unsqueeze(1)
        prediction, truth = prediction[:, : self.classes], mask[:, : self.classes].bool()
        over = (0, 2, 3)
        self.tp += (prediction & truth & seen).sum(over)
        self.fp += (prediction & ~truth & seen).sum(over)
        self.fn += (~prediction & truth & seen).sum(over)
        self.tn += (~prediction & ~truth & seen).sum(over)
        counts = valid.flatten(1).any(1)
        self.loss += (losses.double() * counts).sum()
        self.pictures += counts.sum()

    def compute(self) -> dict[str, float]:
        """Return loss, iou, f1, precision, recall and accuracy over all updates, all categories together."""
        total = Counts(*(int(state.sum()) for state in (self.tp, self.fp, self.fn, self.tn)))
        return {"loss": float(self.loss / self.pictures.clamp_min(1)), **scores(total)}
