"""The two sides of each roof, as a gable has them; its ridge is taken to lie on the long axis of its outline."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def sides_of_ridges(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """+1 above the long axis of each roof, -1 below, 0 where there is none: uint8 (H, W) -> float32 (H, W)."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, np.float32)
    rows, columns = np.nonzero(labels)
    roof = labels[rows, columns]
    pixels = np.bincount(roof, minlength=count + 1).clip(1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = (np.bincount(roof, values, count + 1) / pixels)[roof]
        return means

    down, right = rows - mean(rows), columns - mean(columns)
    axis = np.arctan2(2 * mean(down * right), mean(right**2) - mean(down**2)) / 2  # of the longest extent, from east
    across = right * np.sin(axis) - down * np.cos(axis)  # distance from it; positive above, since |axis| <= 90 degrees
    sides = np.zeros(mask.shape, np.float32)
    sides[rows, columns] = np.sign(across)
    return sides
