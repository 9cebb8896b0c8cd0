"""A weighted sum of losses, by name."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


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
