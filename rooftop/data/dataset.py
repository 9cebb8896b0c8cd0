"""Pictures of one split as tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rooftop.data.augment import Augment
from rooftop.data.prepare import Preparation
from rooftop.data.sampling import Key
from rooftop.data.sources import Source
from rooftop.data.window import Window

Sample = dict[str, Any]


class RoofDataset(Dataset[Sample]):
    """One split of a source.

    A training sample is resized with its mask and then augmented. For evaluation only the picture is resized: the
    truth keeps its own size, so that scores are those of the picture that the person has.

    Args:
        source: pictures and truth.
        picks: which pictures of the source belong to this split.
        preparation: resize and normalisation.
        augment: for training; None evaluates.
        window: cuts training samples out of pictures before they are augmented; None takes whole pictures.
        gsds: ground sampling distance of each picture of the source in metres per pixel, which the window needs.
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
            image float32 (C, H, W), mask uint8 (K, H, W), valid bool (H, W), index int.
        """
        key = key if isinstance(key, Key) else Key(key)
        at = int(self.picks[key.picture])
        picture, (mask, valid) = self.source.picture(at), self.source.truth(at)
        if self.window is not None and self.gsds is not None and key.epoch is not None:
            draw = (key.epoch, key.draw)
            picture, mask, valid = self.window(picture, mask, valid, gsd=float(self.gsds[at]), draw=draw)
        picture = self.preparation.resize(picture)
        if self.augment is not None and key.epoch is not None:
            mask = np.stack([self.preparation.resize(channel, nearest=True) for channel in mask])
            valid = self.preparation.resize(valid.astype(np.uint8), nearest=True).astype(bool)
            picture, mask, valid = self.augment(picture, mask, valid, draw=(key.epoch, key.draw))
        return {
            "image": self.preparation.normalise(picture),
            "mask": torch.from_numpy(np.ascontiguousarray(mask)),
            "valid": torch.from_numpy(np.ascontiguousarray(valid)) & key.counts,
            "index": key.picture,
        }


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples; smaller ones are filled up at right and bottom with zeros that are not valid."""
    batch: Sample = {"index": torch.tensor([sample["index"] for sample in samples])}
    for name in ("image", "mask", "valid"):
        tensors = [sample[name] for sample in samples]
        height = max(tensor.shape[-2] for tensor in tensors)
        width = max(tensor.shape[-1] for tensor in tensors)
        batch[name] = torch.stack([_fill(tensor, height, width) for tensor in tensors])
    return batch


def _fill(tensor: Tensor, height: int, width: int) -> Tensor:
    below, right = height - tensor.shape[-2], width - tensor.shape[-1]
    return F.pad(tensor, (0, right, 0, below)) if below or right else tensor
