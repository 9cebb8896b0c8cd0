"""A picture with its truth, and the way through albumentations."""

from typing import Any, NamedTuple

import albumentations
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

    @property
    def is_all_valid(self) -> bool:
        """Whether valid is one True for all pixels."""
        return self.valid.strides == (0, 0) and bool(self.valid[0, 0])


def as_it_is(operation: Any, sample: Sample) -> Sample:
    """Apply an operation of albumentations."""
    picture = np.ascontiguousarray(sample.picture)
    if isinstance(operation, albumentations.ImageOnlyTransform) and "masks" not in operation.targets_as_params:
        return sample._replace(picture=_with_bands(operation(image=picture, force_apply=True)["image"]))
    masks = [np.ascontiguousarray(channel) for channel in (*sample.mask, sample.valid.astype(np.uint8))]
    result = operation(image=picture, masks=masks, force_apply=True)
    *mask, valid = result["masks"]
    return Sample(_with_bands(result["image"]), np.stack(mask), valid.astype(bool))


def _with_bands(picture: Array) -> Array:
    """Return (H, W, C): OpenCV drops the axis of a single band."""
    return picture.reshape(*picture.shape[:2], -1)
