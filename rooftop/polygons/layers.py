"""What a network says of a scene, layer by layer: a category of roofs, and what was learned beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.targets import ROOF
from rooftop.raster.windows import Window

Values = NDArray[np.uint8]
Read = Callable[[Window], Values]
Said = dict[str, Values]
"""Stored probabilities of one category, uint8 (h, w), by the name of the target."""


@dataclass(frozen=True)
class Layers:
    """Stored probabilities (`rooftop.raster.probability`) of a scene, read by window.

    Attributes:
        read: gives uint8 (T K, h, w) in a window; layer t K + k is target t of category k.
        shape: (T K, height, width).
        targets: names of the T targets, roof first.
    """

    read: Read
    shape: tuple[int, int, int]
    targets: Sequence[str] = (ROOF,)

    @classmethod
    def of(cls, values: Values, targets: Sequence[str] = (ROOF,)) -> "Layers":
        """From values in memory, uint8 (T K, H, W)."""

        def read(window: Window) -> Values:
            rows, columns = window.slices
            return values[:, rows, columns]

        layers, height, width = values.shape
        return cls(read, (layers, height, width), targets)

    @property
    def categories(self) -> int:
        """K."""
        return self.shape[0] // len(self.targets)

    def category(self, k: int) -> Callable[[Window], Said]:
        """What is said of category `k`, by window."""
        return lambda window: dict(zip(self.targets, self.read(window)[k :: self.categories], strict=True))
