"""A loss of two arguments: the pixels that nobody judges are left out before it is called."""

import torch.nn.functional as F
from torch import Tensor, nn


class HardestPixels(nn.Module):
    """Cross-entropy of the hardest pixels only.

    Args:
        share: of the pixels, above 0 and up to 1.
    """

    def __init__(self, *, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Logits and mask of one shape -> one number."""
        losses = F.binary_cross_entropy_with_logits(logits, mask, reduction="none").flatten()
        return losses.topk(max(1, int(self.share * len(losses)))).values.mean()
