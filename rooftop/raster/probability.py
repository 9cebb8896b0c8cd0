"""Probabilities in one byte: steps of half a percent, rounded down; 255 is no data.

For thresholds at multiples of 0.005, a stored value and its float give the same mask.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 0.005  # of a stored value
NODATA = 255  # stored where nobody knows


def stored(probability: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Probability float32 (K, h, w) in [0, 1] to stored values uint8 (K, h, w); valid bool (h, w)."""
    values = np.empty(probability.shape, np.uint8)
    np.multiply(probability, float(round(1 / STEP)), out=values, dtype=np.float64, casting="unsafe")  # in one pass
    if not valid.all():
        np.copyto(values, NODATA, where=~valid)
    return values


def at_least(values: NDArray[np.uint8], threshold: float) -> NDArray[np.uint8]:
    """Threshold stored values to a mask, uint8: 1 = data, and probability at least `threshold`."""
    least = np.ceil(round(threshold / STEP, 6))
    mask: NDArray[np.uint8] = ((values >= least) & (values != NODATA)).astype(np.uint8)
    return mask
