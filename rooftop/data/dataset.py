"""Pictures of one split with their truth, and the way to batches.

Pictures stay bytes, a quarter of the size of floats, until they are normalised on the device. The truth is cached:
rasterising the same outlines in every epoch, roof by roof for the `core` target, takes longer than all
augmentation, and packed to bits the truth of a small data set is small.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rooftop.data.augment import Augment, in_rows
from rooftop.data.loader import Parcel, Slabs
from rooftop.data.prepare import Preparation
from rooftop.data.sampling import Key
from rooftop.data.sources import Source, Truth
from rooftop.data.window import Window

MOST = 64 * 2**20  # bytes in each process; larger splits are drawn anew each time
_Packed = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]  # mask, and valid; None: all of it


class CachedTruth:
    """Cache of a split's truth, one bit per pixel and channel, if all of it fits into memory.

    Args:
        source: pictures and truth.
        picks: indices of the split's pictures in the source.
    """

    def __init__(self, source: Source, picks: NDArray[np.int64]) -> None:
        self._source = source
        heights, widths = source.sizes[picks].astype(np.int64).T
        self._channel = int((heights * -(-widths // 8)).sum())  # bytes of one channel of all pictures
        self._kept: dict[int, _Packed] = {}

    def __call__(self, at: int) -> Truth:
        """Truth of a picture, by its index in the source: mask uint8 (T K, H, W) in rows, and valid bool (H, W)."""
        if at in self._kept:
            height, width = self._source.sizes[at].tolist()
            packed, judged = self._kept[at]
            mask = np.unpackbits(packed, axis=-1, count=width)
            if judged is None:
                return mask, np.broadcast_to(np.True_, (height, width))
            return mask, np.unpackbits(judged, axis=-1, count=width).view(np.bool_)
        drawn, valid = self._source.truth(at)
        mask = in_rows(drawn)
        if (len(mask) + 1) * self._channel <= MOST:
            self._kept[at] = np.packbits(mask, axis=-1), None if valid.all() else np.packbits(valid, axis=-1)
        return mask, valid


Sample = dict[str, Any]
Batch = dict[str, Tensor]


class RoofDataset(Dataset[Sample]):
    """One split of a source.

    A training sample is resized with its mask and then augmented. For evaluation only the picture is resized:
    scores are measured at the size of the original picture.

    Args:
        source: pictures and truth.
        picks: indices of this split's pictures in the source.
        preparation: resize and normalisation.
        augment: for training; None evaluates.
        window: cuts training samples out of pictures before augmentation; None: whole pictures.
        gsds: ground sampling distance of each picture of the source in metres per pixel, for the window.
    """

    def __init__(
        self,
        source: Source,
        picks: NDArray[np.int64],
        *,
        preparation: Preparation,
        augment: Augment | None = None,
        window: Window | None = None,
        gsds: NDArray[np.float64] | None = None,
    ) -> None:
        self.source, self.picks = source, picks
        self._truth = CachedTruth(source, picks)
        self.preparation, self.augment = preparation, augment
        self.window, self.gsds = window, gsds

    def __len__(self) -> int:
        return len(self.picks)

    @property
    def names(self) -> list[str]:
        """File names, in the order of the split."""
        return [self.source.names[i] for i in self.picks]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Heights and widths of the pictures on disk, (N, 2)."""
        return self.source.sizes[self.picks]

    def __getitem__(self, key: Key | int) -> Sample:
        """Return a sample.

        Returns:
            picture uint8 (H, W, C), mask uint8 (K, H, W), valid bool (H, W), index int; arrays, perhaps views.
        """
        key = key if isinstance(key, Key) else Key(key)
        at = int(self.picks[key.picture])
        picture, (mask, valid) = self.source.picture(at), self._truth(at)
        if self.window is not None and self.gsds is not None and key.epoch is not None:
            draw = (key.epoch, key.draw)
            picture, mask, valid = self.window(picture, mask, valid, gsd=float(self.gsds[at]), draw=draw)
        picture = self.preparation.resize(picture)
        if self.augment is not None and key.epoch is not None:
            mask, valid = self._resized(mask, valid)
            picture, mask, valid = self.augment(picture, mask, valid, draw=(key.epoch, key.draw))
        valid = valid if key.counts else np.zeros_like(valid)
        return {"picture": picture, "mask": mask, "valid": valid, "index": key.picture}

    def _resized(self, mask: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Truth:
        """Resize the truth to the size of resized pictures."""
        if self.preparation.size in (None, valid.shape):
            return mask, valid
        resized = np.stack([self.preparation.resize(channel, nearest=True) for channel in mask])
        return resized, self.preparation.resize(valid.astype(np.uint8), nearest=True).astype(bool)

    def normalised(self, sample: Sample) -> Tensor:
        """The picture of a sample as the network sees it, float32 (1, C, H, W)."""
        return self.preparation.normalise_batch(torch.from_numpy(sample["picture"].copy())[None])


def collate(samples: Sequence[Sample], *, fill: NDArray[np.uint8], slabs: Slabs | None = None) -> Batch | Parcel:
    """Copy samples into one batch.

    Args:
        samples: of `RoofDataset`.
        fill: uint8 (C,), padding of smaller pictures at right and bottom; invalid there.
        slabs: memory to write to in a loader process.

    Returns:
        picture uint8 (B, H, W, C), mask uint8 (B, K, H, W), valid bool (B, H, W), index int64 (B,).
    """
    parts = {name: [np.asarray(sample[name]) for sample in samples] for name in ("picture", "mask", "valid", "index")}
    form = {name: (_shape(arrays), arrays[0].dtype.str) for name, arrays in parts.items()}
    parcel = slabs.parcel(form) if slabs else None
    batch = slabs.arrays(parcel) if slabs and parcel else {name: np.empty(*shaped) for name, shaped in form.items()}
    for name, arrays in parts.items():
        for i, array in enumerate(arrays):
            if array.shape != batch[name].shape[1:]:
                batch[name][i] = fill if name == "picture" else 0
            part: tuple[int | slice, ...] = (i, *map(slice, array.shape))
            batch[name][part] = array
    return parcel or {name: torch.from_numpy(array) for name, array in batch.items()}


def _shape(arrays: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """Of all of them in one batch."""
    return (len(arrays), *np.max([array.shape for array in arrays], axis=0).astype(int).tolist())
