"""Losses on logits: small functions, thin modules, and a weighted sum of them by name.

All take logits (B, K, H, W), mask (B, K, H, W) of 0 and 1, and valid bool (B, H, W); pixels that are not valid have no
part. All give a scalar; without a valid pixel it is 0.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
EPS = 1e-6


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B, K, H, W) over valid pixels (B, H, W)."""
    weight = valid.unsqueeze(1).to(values.dtype).expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1)


def bce(logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy, mean over valid pixels."""
    return mean_of_valid(F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype), reduction="none"), valid)


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
    right = torch.exp(-entropy)  # probability given to the truth
    weight = alpha * truth + (1 - alpha) * (1 - truth)
    return mean_of_valid(weight * (1 - right) ** gamma * entropy, valid)


def gap_bce(logits: Tensor, mask: Tensor, valid: Tensor, *, reach: int, weight: float) -> Tensor:
    """Binary cross-entropy in which narrow gaps between roofs weigh more, after Ronneberger et al. 2015, equation 2.

    A gap is what a closing by a square of `reach` pixels fills. The original weighs by the distance to the two nearest
    objects, which has to be prepared for each picture; this is made from the batch and costs two poolings.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        reach: odd; gaps narrower than this count, in pixels.
        weight: of a pixel in a gap on top of the 1 that every pixel has.
    """
    truth = mask.to(logits.dtype)
    rim = (reach // 2,) * 4  # what lies beyond the window counts as ground
    grown = F.max_pool2d(F.pad(truth, rim), reach, stride=1)
    closed = -F.max_pool2d(F.pad(-grown, rim), reach, stride=1)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return mean_of_valid(entropy * (1 + weight * (closed - truth).clamp_min(0)), valid)


class BCE(nn.Module):
    """`bce` as a module."""

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `bce`."""
        return bce(logits, mask, valid)


class Dice(nn.Module):
    """`dice` as a module."""

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `dice`."""
        return dice(logits, mask, valid, smooth=self.smooth)


class Focal(nn.Module):
    """`focal` as a module."""

    def __init__(self, *, gamma: float, alpha: float) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `focal`."""
        return focal(logits, mask, valid, gamma=self.gamma, alpha=self.alpha)


class GapBCE(nn.Module):
    """`gap_bce` as a module."""

    def __init__(self, *, reach: int, weight: float) -> None:
        super().__init__()
        self.reach, self.weight = reach, weight

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `gap_bce`."""
        return gap_bce(logits, mask, valid, reach=self.reach, weight=self.weight)


class WeightedSum(nn.Module):
    """Sum of losses by name.

    Args:
        terms: name -> loss; a name set to null in YAML drops out.
        weights: name -> factor, for each of the terms.

    Raises:
        ValueError: a term without weight, or no term.
    """

    def __init__(self, *, terms: Mapping[str, nn.Module | None], weights: Mapping[str, float]) -> None:
        super().__init__()
        kept = {name: term for name, term in terms.items() if term is not None}
        missing = sorted(set(kept) - set(weights))
        if missing or not kept:
            raise ValueError(f"the weight of {missing[0]} is missing" if missing else "terms is empty")
        self.terms = nn.ModuleDict(kept)
        self.weights = {name: float(weights[name]) for name in kept}

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """Weighted sum of the terms."""
        values = [self.weights[name] * term(logits, mask, valid) for name, term in self.terms.items()]
        return torch.stack(values).sum()
