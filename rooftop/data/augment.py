"""Augmentation of picture and mask together; the only door to albumentations.

albumentations 2.0.8 is the last MIT release. It looks for updates online when imported, and unseeded it repeats the
same draw in every epoch for the same worker and batch position (AlbumentationsX issue 266); so the look-up is
switched off, and each picture is seeded by (seed, epoch, picture): the draw does not depend on workers or ranks.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from collections.abc import Iterable

import albumentations
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]


class Augment:
    """A chain of albumentations operations.

    Args:
        operations: in this order.
        seed: of the run.
    """

    def __init__(self, operations: Iterable[albumentations.BasicTransform], *, seed: int) -> None:
        self._chain = albumentations.Compose(list(operations))
        self._seed = seed

    def __call__(
        self, picture: Array, mask: Array, valid: NDArray[np.bool_], *, draw: tuple[int, int]
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Augment one picture with its truth.

        Args:
            picture: uint8 (H, W, C).
            mask: uint8 (K, H, W).
            valid: bool (H, W); what a shift or turn uncovers becomes False.
            draw: (epoch, index of the picture), which with the seed fixes the draw.

        Returns:
            The same three, perhaps of another height and width.
        """
        self._chain.set_random_seed(int(np.random.SeedSequence([self._seed, *draw]).generate_state(1)[0]))
        result = self._chain(image=picture, masks=[*mask, valid.astype(np.uint8)])
        *masks, seen = result["masks"]
        return result["image"], np.stack(masks), seen.astype(bool)
