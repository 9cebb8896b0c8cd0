"""What operations change: a picture with its truth."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]


class Sample(NamedTuple):
    """A picture with its truth.

    picture: uint8 (H, W, C). mask: uint8 (K, H, W). valid: bool (H, W).
    """

    picture: Array
    mask: Array
    valid: NDArray[np.bool_]
