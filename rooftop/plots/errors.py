"""Where a prediction is right and wrong, as a picture that colour-blind people can read too.

The colours are those of Okabe and Ito 2008, "Color Universal Design"; they also differ in lightness.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]
Mask = NDArray[np.uint8]

HIT, MISS, FALSE = (86, 180, 233), (240, 228, 66), (213, 94, 0)  # sky blue, yellow, vermilion
UNJUDGED = (150, 150, 150)
OUTLINE = (0, 0, 0)


def error_map(picture: Array, mask: Mask, prediction: Mask, valid: NDArray[np.bool_] | None = None) -> Array:
    """Tint hits blue, missed roofs yellow and false roofs vermilion, on the picture in pale grey.

    Args:
        picture: uint8 (H, W, 3).
        mask: truth (H, W), 1 = roof.
        prediction: (H, W), 1 = roof.
        valid: bool (H, W), False where nobody judges, which stays grey; None means everywhere.

    Returns:
        uint8 (H, W, 3).
    """
    true, said = mask > 0, prediction > 0
    grey = picture.astype(np.float32).mean(axis=-1, keepdims=True) * 0.55 + 90
    result = np.repeat(grey, 3, axis=-1)
    for where, colour in ((true & said, HIT), (true & ~said, MISS), (~true & said, FALSE)):
        result[where] += 0.75 * (np.array(colour, np.float32) - result[where])
    if valid is not None:
        result[~valid] = UNJUDGED
    tinted: Array = result.round().clip(0, 255).astype(np.uint8)
    return tinted


def roof_by_roof(picture: Array, labels: NDArray[np.int32], colour: tuple[int, int, int]) -> Array:
    """Tint roofs and outline each of them, so that touching ones are told apart.

    Args:
        picture: uint8 (H, W, 3).
        labels: int32 (H, W), 0 = no roof.
        colour: RGB.

    Returns:
        uint8 (H, W, 3).
    """
    around = np.pad(labels, 1)
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    edge = (labels > 0) & np.any([side != labels for side in sides], axis=0)
    result = picture.astype(np.float32)
    result[labels > 0] += 0.3 * (np.array(colour, np.float32) - result[labels > 0])
    result[edge] = colour
    drawn: Array = result.round().astype(np.uint8)
    return drawn


def outlined(picture: Array, mask: Mask) -> Array:
    """Draw the outline of a mask (H, W) in black over a picture (H, W, 3), to point one roof out."""
    solid = np.pad(mask > 0, 1)
    around = solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    drawn: Array = picture.copy()
    drawn[(mask > 0) & ~around] = OUTLINE
    return drawn
