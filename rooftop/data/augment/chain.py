"""The chain of operations.

Each picture is seeded by (seed, epoch, position in the epoch's order): draws do not depend on workers or ranks.
Unseeded, albumentations repeats the same draw in every epoch for the same worker and batch position (AlbumentationsX
issue 266).
"""

import random
import warnings
from collections.abc import Iterable, Mapping
from itertools import groupby, takewhile
from typing import Any

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray

from rooftop.data.augment.colours import COLOURS, recolour
from rooftop.data.augment.faster import way_of
from rooftop.data.augment.gable import GableShade
from rooftop.data.augment.sample import Array, Sample
from rooftop.data.augment.turns import TURNS, turn
from rooftop.errors import ConfigError


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


class Augment:
    """A chain of albumentations operations.

    Args:
        operations: in this order.
        seed: of the run.
        targets: T of the T K channels of the truth; the first K are roofs.
    """

    def __init__(self, operations: Iterable[Any], *, seed: int, targets: int = 1) -> None:
        # compositions such as OneOf need one around them, which checks what they are given
        chain = [
            operation if isinstance(operation, albumentations.BasicTransform) else albumentations.Compose([operation])
            for operation in operations
        ]
        for operation in chain:
            if isinstance(operation, GableShade):
                operation.target_count = targets
        self._turns = list(takewhile(lambda operation: type(operation) in TURNS, chain))
        self._chain = chain[len(self._turns) :]
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
        turns = (operation for operation in self._turns if drawn.random() < operation.p)
        sample = turn(turns, Sample(picture, mask, valid), drawn)
        for are_colours, run in groupby(self._chosen(draw), lambda operation: type(operation) in COLOURS):
            if are_colours and sample.picture.shape[2] == 3:
                sample = recolour(list(run), sample)
            else:
                for operation in run:
                    sample = way_of(operation)(operation, sample)
        return sample

    def _chosen(self, draw: tuple[int, int]) -> list[Any]:
        """Return the operations of a draw behind the turns, seeded as `albumentations.Compose` seeds them: all alike.

        So one number chooses all of them: where an operation is applied, those of a higher probability are applied too.
        """
        if not self._chain:
            return []
        seed = int(np.random.SeedSequence([self._seed, *draw]).generate_state(1)[0])
        share = random.Random(seed).random()
        chosen = [operation for operation in self._chain if share < operation.p]
        for operation in chosen:
            operation.set_random_seed(seed)
            if operation.p < 1:
                operation.py_random.random()  # the draw that chose it
        return chosen
