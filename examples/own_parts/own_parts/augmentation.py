"""An operation of albumentations."""

from typing import Any

import albumentations
import numpy as np


class Haze(albumentations.ImageOnlyTransform):
    """Mixes white into the picture.

    Args:
        most: largest share of white.
        p: probability.
    """

    def __init__(self, most: float, p: float) -> None:
        super().__init__(p=p)
        self.most = most

    def get_params(self) -> dict[str, Any]:
        """Draw the share of white; py_random is seeded by run, epoch and picture."""
        return {"white": self.py_random.uniform(0, self.most)}

    def apply(self, img: np.ndarray, white: float, **params: Any) -> np.ndarray:
        """uint8 (H, W, C) -> uint8 (H, W, C)."""
        return (img * (1 - white) + 255 * white).astype(np.uint8)
