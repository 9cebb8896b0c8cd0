"""Run lengths from a file, checked before they reach the C code of pycocotools, which trusts them.

Compressed counts are numbers of 5 bits a character (code 48-111, bit 6: another character follows, bit 5 of
the last one: negative), from the fourth on as the difference to the one before the last (maskApi.c,
rleToString).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

_LONGEST = 6  # characters a number: 30 bits, more than any picture has pixels


def pack(counts: Sequence[int], height: int, width: int) -> bytes:
    """Compress counts that were written as a list; nothing unless they fill the picture exactly."""
    if min(counts, default=-1) < 0 or sum(counts) != height * width or len(counts) > height * width + 1:
        return b""
    compressed: bytes = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return compressed


def fill(texts: Sequence[bytes], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each compressed mask whether it is well formed and fills its picture, of `pixels`, exactly.

    All masks are decoded at once, since a call of numpy for each would take longer than parsing the file.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    characters = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - 48
    well = lengths > 0
    owner = np.repeat(np.arange(len(texts)), lengths)
    last = (characters & 0x20) == 0
    well[owner[(characters < 0) | (characters > 63)]] = False
    ends = np.cumsum(lengths) - 1
    well[well] = last[ends[well]]
    # a text that ends in the middle of a number must not reach into the next one
    last[ends[lengths > 0]] = True
    numbers, number_owner, too_long = _numbers(characters, last, owner)
    well[number_owner[too_long]] = False
    return well & _sums_up(numbers, number_owner, pixels)


def _numbers(
    characters: NDArray[np.int64], last: NDArray[np.bool_], owner: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Join characters to signed numbers: the numbers, the mask of each, and whether it is too long."""
    final = np.flatnonzero(last)
    first = np.concatenate(([0], final[:-1] + 1)) if len(final) else final
    digits = final - first + 1
    place = np.minimum(np.arange(len(characters)) - np.repeat(first, digits), _LONGEST)
    parts = (characters & 0x1F) << (5 * place)
    values = np.add.reduceat(parts, first) if len(first) else parts
    negative = (characters[final] & 0x10) != 0
    values = values - (negative.astype(np.int64) << (5 * np.minimum(digits, _LONGEST)))
    return values, owner[final], digits > _LONGEST


def _sums_up(numbers: NDArray[np.int64], owner: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Undo the differences and say of each mask whether its counts are natural and sum up to its pixels."""
    first = np.searchsorted(owner, np.arange(len(pixels)))
    index = np.arange(len(numbers)) - first[owner]
    counts = numbers.copy()
    for parity in (0, 1):
        chain = np.flatnonzero((index > 0) & (index % 2 == parity))
        running = np.cumsum(numbers[chain])
        start = index[chain] <= 2
        before = np.where(start, running - numbers[chain], 0)
        counts[chain] = running - before[np.maximum.accumulate(np.where(start, np.arange(len(chain)), 0))]
    total = np.bincount(owner, np.abs(counts), len(pixels))
    amount = np.bincount(owner, minlength=len(pixels))
    natural = np.bincount(owner, counts < 0, len(pixels)) == 0
    verdict: NDArray[np.bool_] = natural & (total == pixels) & (amount <= pixels + 1)
    return verdict
