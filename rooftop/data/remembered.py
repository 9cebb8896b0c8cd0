"""The truth of a split, drawn once.

A picture's outlines are the same in every epoch, but drawing them, roof by roof where their middles are a target, too,
takes longer than all augmentation. Packed to bits the truth of a small data set is small.
"""

import numpy as np
from numpy.typing import NDArray

from rooftop.data.augment import in_rows
from rooftop.data.sources import Source, Truth

MOST = 64 * 2**20  # bytes in each process; larger splits are drawn anew each time
_Packed = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class RememberedTruth:
    """Truth of the pictures of a split, kept at a bit a pixel and channel after it was drawn, where all of it fits.

    Args:
        source: pictures and truth.
        picks: indices of the pictures of the source that may be asked for.
    """

    def __init__(self, source: Source, picks: NDArray[np.int64]) -> None:
        self._source = source
        heights, widths = source.sizes[picks].astype(np.int64).T
        self._channel = int((heights * -(-widths // 8)).sum())  # bytes of one channel of all pictures
        self._kept: dict[int, _Packed] = {}

    def __call__(self, at: int) -> Truth:
        """Truth of a picture, by its index in the source: mask uint8 (T K, H, W) in rows, and valid bool (H, W)."""
        if at in self._kept:
            width = int(self._source.sizes[at][1])
            bits = [np.unpackbits(packed, axis=-1, count=width) for packed in self._kept[at]]
            return bits[0], bits[1].astype(bool)
        drawn, valid = self._source.truth(at)
        mask = in_rows(drawn)
        if (len(mask) + 1) * self._channel <= MOST:
            self._kept[at] = np.packbits(mask, axis=-1), np.packbits(valid, axis=-1)
        return mask, valid
