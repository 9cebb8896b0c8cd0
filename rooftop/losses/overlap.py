"""Losses that judge the overlap of all roofs of a batch: few roofs weigh as much as many."""

import torch
from torch import Tensor, nn

EPS = 1e-6


def dice(logits: Tensor, mask: Tensor, valid: Tensor, *, smooth: float) -> Tensor:
    """1 - soft Dice (Milletari et al. 2016, arXiv 1606.04797), counted over the batch, then averaged over categories.

    Counting over the batch instead of each picture keeps pictures without roof from dominating.
    """
    weight = valid.unsqueeze(1).to(logits.dtype)
    probability = logits.sigmoid() * weight
    truth = mask.to(logits.dtype) * weight
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    total = (probability + truth).sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + smooth) / (total + smooth).clamp_min(EPS)).mean() * weight.any()


def tversky(
    logits: Tensor, mask: Tensor, valid: Tensor, *, false_roof: float, missed_roof: float, smooth: float
) -> Tensor:
    """1 - soft Tversky index (Salehi et al. 2017, arXiv 1706.05721), counted over the batch, averaged over categories.

    Both weights 0.5 give soft Dice, both 1 soft IoU.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        false_roof: weight of ground that is called roof.
        missed_roof: weight of roof that is called ground.
        smooth: pixels added to both sides of the fraction.
    """
    weight = valid.unsqueeze(1).to(logits.dtype)
    probability, truth = logits.sigmoid() * weight, mask.to(logits.dtype) * weight
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    wrong = false_roof * (probability.sum(dim=(0, 2, 3)) - overlap)
    missed = missed_roof * (truth.sum(dim=(0, 2, 3)) - overlap)
    return (1 - (overlap + smooth) / (overlap + wrong + missed + smooth).clamp_min(EPS)).mean() * weight.any()


def lovasz(logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """Lovasz hinge (Berman et al. 2018, arXiv 1705.08790): the convex surface over 1 - IoU, counted over the batch.

    Pixels that are not valid are sorted behind all others with an error below 0, so that they have no part and no shape
    depends on their number.
    """
    values, truth, judged = (
        part.transpose(0, 1).flatten(1)
        for part in (logits, mask.to(logits.dtype), valid.unsqueeze(1).expand(mask.shape))
    )  # (K, B * H * W)
    truth = truth * judged
    errors = (1 - values * (2 * truth - 1)).masked_fill(~judged, -1.0)
    ordered, order = errors.sort(dim=1, descending=True)
    roof = truth.gather(1, order)
    counts = judged.gather(1, order).to(roof.dtype)
    steps = _jaccard_steps(roof, counts)
    return (ordered.relu() * steps).sum(dim=1).mean()


def _jaccard_steps(roof: Tensor, counts: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further pixel that is wrong, the worst first: (K, N) of 0 and 1 -> (K, N)."""
    all_roof = roof.sum(dim=1, keepdim=True)
    left = all_roof - roof.cumsum(dim=1)
    union = (all_roof + ((1 - roof) * counts).cumsum(dim=1)).clamp_min(1)
    loss = 1 - left / union
    return torch.diff(loss, dim=1, prepend=torch.zeros_like(loss[:, :1]))


class Dice(nn.Module):
    """`dice` as a module."""

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `dice`."""
        return dice(logits, mask, valid, smooth=self.smooth)


class Tversky(nn.Module):
    """`tversky` as a module."""

    def __init__(self, *, false_roof: float, missed_roof: float, smooth: float = 1.0) -> None:
        super().__init__()
        self.false_roof, self.missed_roof, self.smooth = false_roof, missed_roof, smooth

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `tversky`."""
        weights = {"false_roof": self.false_roof, "missed_roof": self.missed_roof}
        return tversky(logits, mask, valid, **weights, smooth=self.smooth)


class Lovasz(nn.Module):
    """`lovasz` as a module."""

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `lovasz`."""
        return lovasz(logits, mask, valid)
