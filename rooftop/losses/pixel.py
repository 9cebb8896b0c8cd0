"""Losses that judge each pixel on its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-7


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B, K, H, W) over valid pixels (B, H, W)."""
    weight = valid.unsqueeze(1).to(values.dtype).expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1)


def bce(logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy, mean over valid pixels."""
    return mean_of_valid(F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype), reduction="none"), valid)


def focal(logits: Tensor, mask: Tensor, valid: Tensor, *, gamma: float, alpha: float) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002): cross-entropy that fades on what is already right.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        gamma: how fast it fades; 0 is cross-entropy.
        alpha: weight of roof; 1 - alpha that of the rest.
    """
    truth = mask.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    # 1 - the probability given to the truth; above 0, where a power below 1 has no slope
    wrong = (-torch.expm1(-entropy)).clamp_min(EPS)
    weight = alpha * truth + (1 - alpha) * (1 - truth)
    return mean_of_valid(weight * wrong**gamma * entropy, valid)


class BCE(nn.Module):
    """`bce` as a module."""

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `bce`."""
        return bce(logits, mask, valid)


class Focal(nn.Module):
    """`focal` as a module."""

    def __init__(self, *, gamma: float, alpha: float) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `focal`."""
        return focal(logits, mask, valid, gamma=self.gamma, alpha=self.alpha)
