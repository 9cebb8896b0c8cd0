"""Runs of colour operations in one pass over the picture.

Brightness, contrast, saturation, hue and tint are nearly one affine map of the colours. The operations themselves work
on 784 pixels of the picture; least squares gives the map, 3 x 4, closest to what they did; OpenCV applies it to
all pixels. Where it misses, as with much clipping or turned hues, the operations work on the picture themselves.
"""

from collections.abc import Callable, Sequence

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray

from rooftop.data.augment.sample import Array, Sample

# Each pixel's new colour depends on its own, and on the picture's mean at most. RandomGamma is a table, no map.
COLOURS = (
    albumentations.ColorJitter,
    albumentations.HueSaturationValue,
    albumentations.RandomBrightnessContrast,
    albumentations.RGBShift,
    albumentations.ToGray,
)
_CLOSE = 2.0  # grey levels, root of the mean square; the operations round by about 0.7 themselves
_FEW = (28, 28)  # pixels that are tried, spread evenly


def recolour(operations: Sequence[albumentations.ImageOnlyTransform], sample: Sample) -> Sample:
    """Apply colour operations, all of `COLOURS`, to a picture of three bands; each draws from its own generators.

    Colours come within 2 grey levels (root mean square) of what the operations give one by one.
    """
    picture = sample.picture
    few = cv2.resize(picture, _FEW, interpolation=cv2.INTER_NEAREST)
    tried, steps = few, []
    for operation in operations:
        settings = operation.get_params()
        settings |= operation.get_params_dependent_on_data(settings, {"image": few})
        tried = _LEAN.get(type(operation), operation.apply)(tried, **settings)
        steps.append((operation, settings))
    affine = _affine_map(few, tried)
    if affine is not None:
        return sample._replace(picture=cv2.transform(picture, affine))
    for operation, settings in steps:
        picture = operation.apply(picture, **settings)
    return sample._replace(picture=picture)


def _affine_map(before: Array, after: Array) -> NDArray[np.float32] | None:
    """Return the affine map, float32 (3, 4), between colours (H, W, 3); None: it misses by more than `_CLOSE`.

    Black and white may have been clipped and are left out; the map clips too.
    """
    kept = cv2.inRange(after, (1, 1, 1), (254, 254, 254)).reshape(-1, 1) / 255
    wanted = after.reshape(-1, 3).astype(np.float64)  # sums of whole numbers are exact, the same everywhere
    given = np.ones((len(wanted), 4))
    given[:, :3] = before.reshape(-1, 3)
    weighted = (given * kept).T
    ridge = np.eye(4)  # keeps one-coloured pictures solvable; nothing beside so many pixels
    _, columns = cv2.solve(weighted @ given + ridge, weighted @ wanted, flags=cv2.DECOMP_CHOLESKY)
    affine = columns.T.astype(np.float32)
    missed = cv2.norm(cv2.transform(before, affine), after, cv2.NORM_L2SQR)
    return affine if missed <= _CLOSE**2 * after.size else None


def _jitter(colours: Array, order: Sequence[int], **factors: float) -> Array:
    """What `ColorJitter.apply` does, in a third of the time where pixels are few."""
    for i in order:
        name = ("brightness", "contrast", "saturation", "hue")[i]
        colours = _JITTERS[name](colours, factors[name])
    return colours


def _scaled(colours: Array, factor: float, offset: float = 0.0) -> Array:
    # albumentations cuts fractions off; OpenCV rounds
    return cv2.addWeighted(colours, factor, colours, 0, offset - 0.499)  # type: ignore[no-any-return]


def _contrasted(colours: Array, factor: float) -> Array:
    return _scaled(colours, factor, cv2.mean(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))[0] * (1 - factor))


def _saturated(colours: Array, factor: float) -> Array:
    grey = cv2.cvtColor(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(colours, factor, grey, 1 - factor, 0)  # type: ignore[no-any-return]


def _turned(colours: Array, turns: float) -> Array:
    """Turn the hue, which OpenCV counts in steps of 2 degrees."""
    colours = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV)
    table = np.mod(np.arange(256) + 180 * turns, 180).astype(np.uint8)
    colours[..., 0] = table[colours[..., 0]]
    return cv2.cvtColor(colours, cv2.COLOR_HSV2RGB)  # type: ignore[no-any-return]


_JITTERS = {"brightness": _scaled, "contrast": _contrasted, "saturation": _saturated, "hue": _turned}
_LEAN: dict[type, Callable[..., Array]] = {albumentations.ColorJitter: _jitter}
