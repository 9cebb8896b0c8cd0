"""A metric of torchmetrics."""

import torch
from torch import Tensor
from torchmetrics import Metric


class RoofShare(Metric):
    """Predicted share of roof divided by the true one: above 1, too much is called roof."""

    predicted: Tensor
    true: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("predicted", "true"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, probability: Tensor, truth: Tensor) -> None:
        """Add the valid pixels of a batch: probability and truth (0 or 1), both (N,)."""
        self.predicted += probability.sum()
        self.true += truth.sum()

    def compute(self) -> Tensor:
        """Return one number."""
        return self.predicted / self.true.clamp_min(1)
