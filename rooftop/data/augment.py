"""Augmentation of picture and mask together; the only door to albumentations.

albumentations 2.0.8 is the last MIT release. On import it looks for updates online; the variable below, set before the
import, turns that off. Unseeded, it repeats the same draw in every epoch for the same worker and batch position
(AlbumentationsX issue 266). Here each picture is seeded by (seed, epoch, position in the epoch's order): draws do not
depend on workers or ranks.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import random
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rooftop.errors import ConfigError

Array = NDArray[np.uint8]
_TURNED_BY_OPENCV = (1, 2, 3, 4, 6, 8, 12)  # numbers of bands


def one_thread(worker: int) -> None:
    """Limit a loader process to one thread: OpenCV, inside albumentations, would use all cores in each process."""
    cv2.setNumThreads(0)


def check_operations(operations: Mapping[str, Any], channels: int) -> None:
    """Try each operation on a picture of `channels` bands before any work.

    Args:
        operations: by name; None is left out.
        channels: of the pictures.

    Raises:
        ConfigError: an operation for three colours only.
    """
    if channels == 3:
        return
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, channels), dtype=np.uint8)
    for name, operation in operations.items():
        if operation and not _works(operation, picture):
            raise ConfigError(
                f"augmentation.{name}: {type(operation).__name__} works on colours, not on {channels} bands; set it to "
                "null, or choose augmentation=bands."
            )


def _works(operation: albumentations.BasicTransform, picture: Array) -> bool:
    probability, operation.p = operation.p, 1.0
    truth = [np.eye(*picture.shape[:2], dtype=np.uint8)] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = albumentations.Compose([operation], seed=0)(image=picture, masks=truth)["image"]
        except Exception:  # whatever it stumbles over, it does not work
            return False
        finally:
            operation.p = probability
    return bool(result.dtype == np.uint8 and result.ndim == 3 and result.shape[2] == picture.shape[2])


def in_rows(mask: Array) -> Array:
    """Copy a column-major mask (K, H, W) to row-major; NumPy's own copy takes ten times as long."""
    if mask.flags.c_contiguous:
        return mask
    return np.stack([cv2.transpose(np.ascontiguousarray(channel.T)) for channel in mask])


def _mirrored(truth: NDArray[Any]) -> NDArray[Any]:
    """Truth (..., H, W) with left and right swapped; OpenCV takes a tenth of the time of a copy backwards."""
    if not truth.flags.c_contiguous:
        return truth[..., ::-1]  # one value for all, or a view already
    lines = truth.reshape(-1, truth.shape[-1]).view(np.uint8)
    return cv2.flip(lines, 1).reshape(truth.shape).view(truth.dtype)  # type: ignore[no-any-return]


def _rotated(picture: Array, times: int) -> Array:
    """A picture (H, W, C) after so many quarter turns against the clock; OpenCV drops the axis of a single band."""
    if not times or picture.shape[2] not in _TURNED_BY_OPENCV:
        return np.rot90(picture, times)
    turned: Array = cv2.rotate(picture, 3 - times)
    return turned.reshape(*turned.shape[:2], -1)


# of picture (H, W, C) and truth (..., H, W), with the number of quarter turns; albumentations takes 0.2 ms for it
_Turn = Callable[[NDArray[Any], int], NDArray[Any]]
_TURNS: dict[type, tuple[_Turn, _Turn]] = {
    albumentations.HorizontalFlip: (
        lambda picture, _: cv2.flip(picture, 1).reshape(picture.shape),
        lambda truth, _: _mirrored(truth),
    ),
    albumentations.VerticalFlip: (lambda picture, _: picture[::-1], lambda truth, _: truth[..., ::-1, :]),
    albumentations.RandomRotate90: (_rotated, lambda truth, times: np.rot90(truth, times, (-2, -1))),
}


class Augment:
    """A chain of albumentations operations. Flips and quarter turns at its beginning are done without it.

    Args:
        operations: in this order.
        seed: of the run.
        targets: T of the T K channels of the truth; the first K are roofs.
    """

    def __init__(self, operations: Iterable[albumentations.BasicTransform], *, seed: int, targets: int = 1) -> None:
        for operation in (chain := list(operations)):
            if isinstance(operation, GableShade):
                operation.target_count = targets
        self._turns = list(takewhile(lambda operation: type(operation) in _TURNS, chain))
        self._chain = albumentations.Compose(chain[len(self._turns) :])
        self._seed = seed

    def __call__(
        self, picture: Array, mask: Array, valid: NDArray[np.bool_], *, draw: tuple[int, int]
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Augment one picture with its truth.

        Args:
            picture: uint8 (H, W, C).
            mask: uint8 (K, H, W).
            valid: bool (H, W); ground uncovered by a shift or rotation becomes False.
            draw: (epoch, position in its order); fixes the draw, together with the seed.

        Returns:
            Picture, mask and valid, possibly of another size, possibly views.
        """
        drawn = random.Random(repr((self._seed, *draw)))
        for operation in self._turns:
            if drawn.random() < operation.p:
                times, (turn_picture, turn) = drawn.randrange(4), _TURNS[type(operation)]
                picture, mask, valid = turn_picture(picture, times), turn(mask, times), turn(valid, times)
        if not self._chain.transforms:
            return picture, mask, valid
        self._chain.set_random_seed(int(np.random.SeedSequence([self._seed, *draw]).generate_state(1)[0]))
        masks = [np.ascontiguousarray(channel) for channel in (*mask, valid.astype(np.uint8))]
        result = self._chain(image=np.ascontiguousarray(picture), masks=masks)
        *masks, seen = result["masks"]
        image: Array = result["image"].reshape(*result["image"].shape[:2], -1)  # OpenCV drops the axis of a single band
        return image, np.stack(masks), seen.astype(bool)


def sides_of_ridges(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mark the sides of each roof's long axis, +1 above and -1 below: uint8 (H, W) -> float32 (H, W), 0 elsewhere."""
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
        return {"gain": 1 + amount * sides_of_ridges(np.max(roofs, axis=0))}

    def apply(self, img: Array, gain: NDArray[np.float32], **params: Any) -> Array:
        """uint8 (H, W, C) -> uint8 (H, W, C)."""
        return np.asarray(np.clip(img * gain[..., None], 0, 255), np.uint8)
