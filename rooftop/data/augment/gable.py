"""Gable roofs in a low sun: one side lit, the other in the shade."""

from functools import reduce
from typing import Any

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]


def sides_of_ridges(mask: Array) -> NDArray[np.float32]:
    """Mark the sides of each roof's long axis, +1 above and -1 below: uint8 (H, W) -> float32 (H, W), 0 elsewhere."""
    count, labels = cv2.connectedComponents(mask, connectivity=4)
    at = np.flatnonzero(mask.astype(np.bool_))
    roof, rows, columns = labels.reshape(-1)[at], *np.divmod(at, mask.shape[1])
    pixels = np.bincount(roof, minlength=count).clip(1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.bincount(roof, values, count) / pixels
        return means

    down, right = rows - mean(rows)[roof], columns - mean(columns)[roof]
    axis = np.arctan2(2 * mean(down * right), mean(right**2) - mean(down**2)) / 2  # of the longest extent, from east
    across = (
        right * np.sin(axis)[roof] - down * np.cos(axis)[roof]
    )  # distance from it; positive above: |axis| <= 90 degrees
    sides = np.zeros(mask.shape, np.float32)
    sides.reshape(-1)[at] = np.sign(across)
    return sides


class GableShade(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Lights one side of each roof and shades the other, like a low sun on gable roofs.

    The ridge is the long axis of a roof's outline; the light comes from the same side in the whole picture. Without
    it, networks learn to leave out the dark half of a gable roof.

    Args:
        strength: (lowest, highest) share of the brightness gained by one side and lost by the other.
        p: probability.
    """

    def __init__(self, strength: tuple[float, float], p: float) -> None:
        super().__init__(p=p)
        self.strength, self.target_count = strength, 1

    @property
    def targets_as_params(self) -> list[str]:
        """Names of the targets for `get_params_dependent_on_data`."""
        return ["masks"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the light: the gain of each pixel, float32 (H, W)."""
        amount = self.py_random.uniform(*self.strength) * self.py_random.choice((-1, 1))
        *masks, _ = data["masks"]
        roofs = masks[: len(masks) // self.target_count]  # edges would join neighbours
        return {"gain": 1 + np.float32(amount) * sides_of_ridges(reduce(np.maximum, roofs))}

    def apply(self, img: Array, gain: NDArray[np.float32], **params: Any) -> Array:
        """uint8 (H, W, C) -> uint8 (H, W, C)."""
        lit: Array = cv2.multiply(img, cv2.merge([gain] * img.shape[2]), dtype=cv2.CV_8U)
        return lit.reshape(img.shape)
