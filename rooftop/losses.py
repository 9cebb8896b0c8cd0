"""Losses on logits: small functions, thin modules, and a weighted sum of them by name.

All take logits (B, K, H, W), mask (B, K, H, W) of 0 and 1, and valid bool (B, H, W); invalid pixels are ignored. All
return a scalar, 0 without a valid pixel. Losses of other libraries take two arguments, (logits, mask): `fitted` makes
them losses of three.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from rooftop.errors import ConfigError

log = logging.getLogger(__name__)
_LOG_EPS = 1e-7  # keeps logarithms finite
_OVERLAP_EPS = 1e-6  # keeps fractions of empty pictures finite


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B, K, H, W) over valid pixels (B, H, W)."""
    weight = valid.unsqueeze(1).to(values.dtype).expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1)


def bce(logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy, mean over valid pixels."""
    return mean_of_valid(F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype), reduction="none"), valid)


def focal(logits: Tensor, mask: Tensor, valid: Tensor, *, gamma: float, alpha: float) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002): cross-entropy with less weight on easy pixels.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        gamma: how fast the weight fades; 0 is cross-entropy.
        alpha: weight of roof; ground has 1 - alpha.
    """
    truth = mask.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    # 1 - the probability given to the truth; above 0, where a power below 1 has no slope
    wrong = (-torch.expm1(-entropy)).clamp_min(_LOG_EPS)
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


def dice(logits: Tensor, mask: Tensor, valid: Tensor, *, smooth: float) -> Tensor:
    """1 - soft Dice (Milletari et al. 2016, arXiv 1606.04797), counted over the batch, then averaged over categories.

    Counting over the batch instead of each picture keeps pictures without roof from dominating.
    """
    weight = valid.unsqueeze(1).to(logits.dtype)
    probability = logits.sigmoid() * weight
    truth = mask.to(logits.dtype) * weight
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    total = (probability + truth).sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + smooth) / (total + smooth).clamp_min(_OVERLAP_EPS)).mean() * weight.any()


def tversky(
    logits: Tensor, mask: Tensor, valid: Tensor, *, false_roof: float, missed_roof: float, smooth: float
) -> Tensor:
    """1 - soft Tversky index (Salehi et al. 2017, arXiv 1706.05721), counted over the batch, averaged over categories.

    Both weights 0.5 give soft Dice, both 1 soft IoU.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        false_roof: weight of false roof pixels.
        missed_roof: weight of missed roof pixels.
        smooth: pixels added to both sides of the fraction.
    """
    weight = valid.unsqueeze(1).to(logits.dtype)
    probability, truth = logits.sigmoid() * weight, mask.to(logits.dtype) * weight
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    wrong = false_roof * (probability.sum(dim=(0, 2, 3)) - overlap)
    missed = missed_roof * (truth.sum(dim=(0, 2, 3)) - overlap)
    return (1 - (overlap + smooth) / (overlap + wrong + missed + smooth).clamp_min(_OVERLAP_EPS)).mean() * weight.any()


def lovasz(logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """Lovasz hinge (Berman et al. 2018, arXiv 1705.08790): the convex surface over 1 - IoU, counted over the batch.

    Invalid pixels get an error below 0 and are sorted last: they add nothing, and no shape depends on their number.
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
    """Return the growth of 1 - IoU with each further wrong pixel, worst first: (K, N) of 0 and 1 -> (K, N)."""
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


REACH = 3.0  # times sigma: where the sum of both distances is longer, the weight is nearly none: exp(-4.5) = 0.011


def gap_bce(logits: Tensor, mask: Tensor, valid: Tensor, *, reach: int, weight: float) -> Tensor:
    """Binary cross-entropy with more weight on narrow gaps between roofs, after Ronneberger et al. 2015, equation 2.

    Gaps are found by a morphological closing with a square of `reach` pixels: two poolings per batch. The original
    weights by the distance to the two nearest objects need preparation for each picture.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        reach: odd; gaps narrower than this count, in pixels.
        weight: of a pixel in a gap, added to the 1 of every pixel.
    """
    truth = (mask * valid.unsqueeze(1)).to(logits.dtype)  # what nobody judged is no roof
    rim = (reach // 2,) * 4  # what lies beyond the window counts as ground
    grown = F.max_pool2d(F.pad(truth, rim), reach, stride=1)
    closed = -F.max_pool2d(F.pad(-grown, rim), reach, stride=1)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return mean_of_valid(entropy * (1 + weight * (closed - truth).clamp_min(0)), valid)


def distance_bce(logits: Tensor, mask: Tensor, valid: Tensor, *, w0: float, sigma: float, size: float) -> Tensor:
    """Binary cross-entropy with the weights of Ronneberger et al. 2015 (equation 2), and more weight on small roofs.

    A batch has no instances: a connected component of the mask counts as a roof. Use it with `data.gaps=true`. On 12
    Banepa test tiles with 814 footprints the mask has 438 components, and the weights between them sum to 0.61 of
    those from footprints; with a pixel between touching roofs (`data.gaps=true`) 816 components and 0.993. On a GPU
    the mask goes to the CPU and the weights come back in each step; `gap_bce` avoids this.

    Args:
        logits: (B, K, H, W).
        mask: (B, K, H, W).
        valid: (B, H, W).
        w0: of ground between two touching roofs, added to the 1 of every pixel.
        sigma: decay of that weight with the distances to the two nearest roofs, in pixels.
        size: side in pixels of a roof of weight 1; smaller ones weigh more, up to 5, by the ratio of the sides, in the
            spirit of the mapping challenge's winner (neptune-ai/open-solution-mapping-challenge); 0: all alike.
    """
    planes = (mask * valid.unsqueeze(1)).cpu().numpy()  # what nobody judged is no roof
    weights = np.stack([[distance_weights(plane, w0=w0, sigma=sigma, size=size) for plane in one] for one in planes])
    entropy = F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype), reduction="none")
    return mean_of_valid(entropy * torch.from_numpy(weights).to(entropy), valid)


def distance_weights(mask: NDArray[np.uint8], *, w0: float, sigma: float, size: float) -> NDArray[np.float32]:
    """Weight of each pixel of a mask (H, W), 1 or more on ground: float32 (H, W); see `distance_bce`."""
    labels, count = ndimage.label(mask)  # side by side: what touches at a corner stays apart
    far = np.hypot(*mask.shape)
    nearest, second = np.full(mask.shape, far), np.full(mask.shape, far)
    reach = int(np.ceil(REACH * sigma))
    weights = np.ones(mask.shape, np.float32)
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in where)
        distance = ndimage.distance_transform_edt(labels[around] != number)
        second[around] = np.minimum(second[around], np.maximum(nearest[around], distance))
        nearest[around] = np.minimum(nearest[around], distance)
        inside = labels[where] == number
        if size:
            weights[where][inside] = np.clip(size / np.sqrt(inside.sum()), 1, 5)
    between = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2)) if count > 1 else 0.0
    return weights + np.where(mask > 0, 0, between).astype(np.float32)


class GapBCE(nn.Module):
    """`gap_bce` as a module.

    Raises:
        ValueError: reach is even: no middle pixel.
    """

    def __init__(self, *, reach: int, weight: float) -> None:
        super().__init__()
        if reach < 1 or reach % 2 == 0:
            raise ValueError(f"reach={reach} must be odd, 1 or more")
        self.reach, self.weight = reach, weight

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `gap_bce`."""
        return gap_bce(logits, mask, valid, reach=self.reach, weight=self.weight)


class DistanceBCE(nn.Module):
    """`distance_bce` as a module."""

    def __init__(self, *, w0: float, sigma: float, size: float) -> None:
        super().__init__()
        self.w0, self.sigma, self.size = w0, sigma, size

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """See `distance_bce`."""
        return distance_bce(logits, mask, valid, w0=self.w0, sigma=self.sigma, size=self.size)


class WeightedSum(nn.Module):
    """Sum of losses by name.

    Args:
        terms: name -> loss; a name set to null in YAML drops out.
        weights: name -> factor, for each of the terms.

    Raises:
        ValueError: a term without weight, a weight without term, or no term.
    """

    def __init__(self, *, terms: Mapping[str, nn.Module | None], weights: Mapping[str, float]) -> None:
        super().__init__()
        kept = {name: term for name, term in terms.items() if term is not None}
        missing = sorted(set(kept) - set(weights))
        if missing or not kept:
            raise ValueError(f"the weight of {missing[0]} is missing" if missing else "terms is empty")
        if idle := sorted(set(weights) - set(terms)):
            raise ValueError(f"weights.{idle[0]} has no term; the terms are {', '.join(terms)}")
        self.terms = nn.ModuleDict(kept)
        self.weights = {name: float(weights[name]) for name in kept}

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """Weighted sum of the terms."""
        values = [self.weights[name] * term(logits, mask, valid) for name, term in self.terms.items()]
        return torch.stack(values).sum()


# --- losses of other libraries ---


class OfValidPixels(nn.Module):
    """A loss of (logits, mask), given only the valid pixels.

    If all pixels are valid, it gets both as they are, (B, K, H, W). Else a loss that counts over the batch gets the N
    valid pixels of the batch as one column, (1, K, N, 1), and a loss that counts over each picture the column of one
    picture after the other; pictures without a valid pixel are left out of the mean.

    Args:
        loss: takes logits and mask of one shape, returns a scalar.
        by_picture: it counts over each picture.
    """

    def __init__(self, loss: nn.Module, *, by_picture: bool) -> None:
        super().__init__()
        self.loss, self.by_picture = loss, by_picture

    def forward(self, logits: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        """Loss of the valid pixels; 0 without one."""
        truth = mask.to(logits.dtype)
        if bool(valid.all()):
            return self.loss(logits, truth)  # type: ignore[no-any-return]
        if not bool(valid.any()):
            return logits.sum() * 0
        parts = [slice(i, i + 1) for i in range(len(valid))] if self.by_picture else [slice(None)]
        losses = [
            self.loss(*(_column(values[part], valid[part]) for values in (logits, truth)))
            for part in parts
            if bool(valid[part].any())
        ]
        return torch.stack(losses).mean()


def _column(values: Tensor, valid: Tensor) -> Tensor:
    """Take the N valid pixels out: (B, K, H, W) and bool (B, H, W) -> (1, K, N, 1)."""
    return values.movedim(1, 0)[:, valid][None, ..., None]


def fitted(loss: nn.Module, classes: int) -> nn.Module:
    """Return a loss of (logits, mask, valid); one of another library is tried on a small example first.

    Args:
        loss: of (logits, mask, valid), of (logits, mask), or a `WeightedSum` of both kinds.
        classes: K, channels of the logits.

    Raises:
        ConfigError: the loss fails on logits, does not fall when they become right, or looks at neighbouring pixels.
    """
    if isinstance(loss, WeightedSum):
        for name, term in loss.terms.items():
            loss.terms[name] = fitted(term, classes)
        return loss
    if type(loss).__module__ == __name__:
        return loss
    name, draw = type(loss).__name__, torch.Generator().manual_seed(0)
    mask = (torch.rand(2, classes, 16, 16, generator=draw) > 0.6).float()
    logits = torch.randn(mask.shape, generator=draw)
    if _arguments(loss) < 3:
        loss = OfValidPixels(loss, by_picture=_counts_by_picture(loss, logits, mask, name))
    _require_learning(loss, logits, mask, name)
    return loss


def _arguments(loss: nn.Module) -> int:
    """Count the positional arguments of a loss; 3 or more if it takes any number."""
    kinds = [each.kind for each in inspect.signature(loss.forward).parameters.values()]
    many = inspect.Parameter.VAR_POSITIONAL in kinds
    return 3 if many else sum(kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD) for kind in kinds)


def _counts_by_picture(loss: nn.Module, logits: Tensor, mask: Tensor, name: str) -> bool:
    """Find out whether a loss counts over each picture, and not over the batch.

    Raises:
        ConfigError: neither: the loss looks at neighbouring pixels, or fails.
    """
    every, whole = torch.ones(len(mask), *mask.shape[2:], dtype=torch.bool), _value(lambda: loss(logits, mask), name)
    try:
        if torch.allclose(loss(_column(logits, every), _column(mask, every)), whole, rtol=1e-3):
            return False
        columns = [[_column(each[i, None], every[i, None]) for each in (logits, mask)] for i in range(len(mask))]
        if torch.allclose(torch.stack([loss(*pair) for pair in columns]).mean(), whole, rtol=1e-3):
            return True
    except Exception:  # a loss with a fixed idea of the shape
        log.debug("%s cannot take a column of pixels", name, exc_info=True)
    raise ConfigError(
        f"loss: {name} looks at neighbouring pixels or wants a fixed size, so that invalid pixels cannot be left out; "
        "write one of (logits, mask, valid), see docs/own_parts.md."
    )


def _require_learning(loss: nn.Module, logits: Tensor, mask: Tensor, name: str) -> None:
    """Check that a loss is one number with a slope, and smaller for right logits than for wrong ones.

    Raises:
        ConfigError: it is not.
    """
    valid, slope = torch.ones(len(mask), *mask.shape[2:], dtype=torch.bool), logits.clone().requires_grad_()
    if not _value(lambda: loss(slope, mask, valid), name).requires_grad:
        raise ConfigError(f"loss: {name} has no gradient by the logits; choose another loss.")
    certain = 8 * mask - 4
    right, wrong = (_value(partial(loss, logits, mask, valid), name) for logits in (certain, -certain))
    if not right < wrong:
        raise ConfigError(
            f"loss: {name} is {float(right):.4g} for right logits and {float(wrong):.4g} for wrong ones; choose a loss "
            "on logits for channels of their own (binary or multilabel, not multiclass)."
        )


def _value(call: Callable[[], Tensor], name: str) -> Tensor:
    """Return the value of a loss.

    Raises:
        ConfigError: it fails, or is not one number.
    """
    try:
        value = call()
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ConfigError(f"loss: {name} fails on logits and a mask of 0 and 1, both (B, K, H, W): {reason}") from error
    if not isinstance(value, Tensor) or value.ndim:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"loss: {name} returns {shape}, not one number; set its reduction to mean.")
    return value
