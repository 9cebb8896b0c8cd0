"""What a network can learn beside the roof, out of the same outlines.

A mask of all roofs does not show where one ends and its neighbour begins; these do. Each is made of numbered roofs,
int32 (H, W), 0 = background, and is a mask itself, uint8 (H, W).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_DEEP = 0.5  # share of a roof's largest depth from which on a pixel belongs to its core
Roofs = NDArray[np.int32]
Mask = NDArray[np.uint8]


def roof(roofs: Roofs) -> Mask:
    """Everything inside an outline."""
    return (roofs > 0).astype(np.uint8)


def edge(roofs: Roofs) -> Mask:
    """A band along each outline, a pixel on either side; both sides of it between touching roofs."""
    band: Mask = (ndimage.maximum_filter(roofs, 3) != ndimage.minimum_filter(roofs, 3)).astype(np.uint8)
    return band


def core(roofs: Roofs) -> Mask:
    """The middle of each roof: at least half as deep inside it as its deepest pixel, whatever its size."""
    middle, around = np.zeros(roofs.shape, np.uint8), np.pad(roofs, 1)
    for n, place in enumerate(ndimage.find_objects(roofs), start=1):
        if place is not None:  # another roof may lie over all of it
            own = around[tuple(slice(side.start, side.stop + 2) for side in place)] == n
            depth = ndimage.distance_transform_edt(own)[1:-1, 1:-1]
            middle[place] |= depth >= _DEEP * depth.max()
    return middle


ROOF = "roof"
TARGETS: dict[str, Callable[[Roofs], Mask]] = {ROOF: roof, "edge": edge, "core": core}
