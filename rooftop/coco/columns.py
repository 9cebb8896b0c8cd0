"""Parsed annotations as numpy arrays; annotations that cannot be drawn are rejected, counted and listed.

Run lengths (RLE) are checked before they reach the C code of pycocotools, since that code trusts its input.

Compressed run lengths (pycocotools, maskApi.c, `rleToString`) write each number in base 32, lowest digit first,
one character a digit: code = 48 + digit, + 32 if another digit follows; + 16 in the last digit means negative.
From the fourth number on, the file contains the difference to the number two positions earlier.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco.arrays import Array
from rooftop.coco.parse import Annotation, RunLengths

Flags: TypeAlias = NDArray[np.bool_]

SHOWN = 1000  # rejected annotations listed by id; all of them are counted
FARTHEST = 1e6  # pixels from the origin; pycocotools stores fifths of a pixel in 32 bits
LONGEST = 4e6  # pixels along one ring; pycocotools takes 80 bytes of memory for each
_MAX_DIGITS = 6  # characters a number: 30 bits, more than the pixels of any picture


@dataclass(frozen=True)
class Rejected:
    """Annotations that cannot be used.

    Attributes:
        counts: number of annotations for each reason.
        listed: (annotation id, reason) of the first `SHOWN`; the id is None if it could not be read.
    """

    counts: Mapping[str, int]
    listed: Sequence[tuple[int | None, str]]

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """One line for a log: "3 annotations left out: 2 with fewer than 3 points, 1 outside the picture"."""
        if not self.counts:
            return "no annotation left out"
        parts = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts.items()))
        return f"{len(self)} annotation{'s' if len(self) > 1 else ''} left out: {parts}"


@dataclass
class Tally:
    """Collects rejected annotations while a file is read; see `Rejected`."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, identity: int | None, reason: str) -> None:
        """Count one rejected annotation."""
        self.counts[reason] += 1
        if len(self.listed) < SHOWN:
            self.listed.append((identity, reason))

    def merge(self, other: "Tally") -> None:
        """Append the rejected annotations of a later part of the file."""
        self.counts.update(other.counts)
        self.listed.extend(other.listed[: SHOWN - len(self.listed)])


@dataclass(frozen=True)
class Frame:
    """The pictures and categories of a file, for its annotations to refer to.

    Attributes:
        rows: picture id to row, its position in the file.
        sizes: int32 (pictures, 2), height and width in pixels.
        kinds: category id to position in the list of categories.
    """

    rows: Mapping[int, int]
    sizes: NDArray[np.int32]
    kinds: Mapping[int, int]


class Columns(NamedTuple):
    """Annotations as arrays: A annotations in the order of the file, R polygon rings, P points.

    The dtypes are those returned by `columns`; the index file stores each array in the smallest lossless dtype.

    Attributes:
        id: int64 (A,), annotation id.
        row: int32 (A,), row of its picture.
        kind: int32 (A,), position of its category in the list of categories.
        crowd: bool (A,), the outline covers a group of uncounted objects.
        area: float64 (A,), square pixels, NaN if missing.
        ring_count: int64 (A,), number of rings; 0 for run lengths.
        run_bytes: int64 (A,), number of bytes in `runs`; 0 for rings.
        point_count: int64 (R,), number of points of a ring.
        xy: float64 (P, 2), x and y in pixels of all points, origin at the top left corner of the picture.
        runs: uint8 (sum of `run_bytes`,), compressed run lengths of all annotations, joined.
    """

    id: Array
    row: Array
    kind: Array
    crowd: Array
    area: Array
    ring_count: Array
    run_bytes: Array
    point_count: Array
    xy: Array
    runs: Array


class _Table(NamedTuple):
    """Columns before the checks; coordinates are flat, since a ring may have an odd number of them.

    Attributes:
        id, row, kind, crowd, area, ring_count, run_bytes, runs: see `Columns`.
        is_run: bool (A,), the annotation has run lengths, valid or not.
        number_count: int64 (R,), number of coordinates of a ring, two for each point.
        numbers: float64 (sum of `number_count`,), x, y, x, y, ... of all rings.
    """

    id: Array
    row: Array
    kind: Array
    crowd: Array
    area: Array
    ring_count: Array
    is_run: Array
    run_bytes: Array
    number_count: Array
    numbers: Array
    runs: Array

    @property
    def first_number(self) -> Array:
        """Offset in `numbers` of the first coordinate of each ring: int64 (R,)."""
        first: Array = np.cumsum(self.number_count) - self.number_count
        return first


def columns(annotations: Sequence[Annotation], frame: Frame, tally: Tally) -> Columns:
    """Convert annotations to columns; those that cannot be drawn go to `tally` with the first reason found."""
    table = _flatten(annotations, frame)
    for reason, check in _CHECKS.items():
        bad = check(table, frame)
        if bad.any():
            for annotation in compress(annotations, bad):
                tally.add(annotation.id, reason)
            annotations = list(compress(annotations, ~bad))
            table = _flatten(annotations, frame)
    return Columns(
        id=table.id,
        row=table.row,
        kind=table.kind,
        crowd=table.crowd,
        area=table.area,
        ring_count=table.ring_count,
        run_bytes=table.run_bytes,
        point_count=table.number_count // 2,
        xy=table.numbers.reshape(-1, 2),
        runs=table.runs,
    )


def _flatten(annotations: Sequence[Annotation], frame: Frame) -> _Table:
    outlines = [a.segmentation if type(a.segmentation) is list else () for a in annotations]
    rings = list(chain.from_iterable(outlines))
    number_count = np.array(list(map(len, rings)), np.int64)
    rows = [frame.rows.get(a.image_id, -1) for a in annotations]
    runs = [_run(a, row, frame) for a, row in zip(annotations, rows, strict=True)] if () in outlines else []
    return _Table(
        id=np.array([a.id for a in annotations], np.int64),
        row=np.array(rows, np.int32),
        kind=np.array([frame.kinds.get(a.category_id, -1) for a in annotations], np.int32),
        crowd=np.array([a.iscrowd for a in annotations], np.bool_),
        area=np.array([a.area for a in annotations], np.float64),  # None becomes NaN
        ring_count=np.array(list(map(len, outlines)), np.int64),
        is_run=np.array([type(a.segmentation) is RunLengths for a in annotations], np.bool_),
        run_bytes=np.array([len(run) for run in runs] or [0] * len(annotations), np.int64),
        number_count=number_count,
        numbers=np.fromiter(chain.from_iterable(rings), np.float64, int(number_count.sum())),
        runs=np.frombuffer(b"".join(runs), np.uint8),
    )


def _run(annotation: Annotation, row: int, frame: Frame) -> bytes:
    """Compressed run lengths; empty if the annotation has none or their size is not the size of the picture."""
    run = annotation.segmentation
    if not isinstance(run, RunLengths) or row < 0 or run.size != tuple(frame.sizes[row].tolist()):
        return b""
    return run.counts.encode() if isinstance(run.counts, str) else compress_run(run.counts, *run.size)


def compress_run(counts: Sequence[int], height: int, width: int) -> bytes:
    """Compress run lengths given as a list; empty unless they cover the picture exactly."""
    if min(counts, default=-1) < 0 or sum(counts) != height * width or len(counts) > height * width + 1:
        return b""
    compressed: bytes = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return compressed


def are_valid_runs(runs: Sequence[bytes], pixels: NDArray[np.int64]) -> Flags:
    """Check compressed run lengths: well formed, and their counts sum up to the pixels of the picture.

    All are decoded at once, since a numpy call for each would take longer than parsing the file.

    Args:
        runs: compressed run lengths of N masks.
        pixels: int64 (N,), height times width of the picture of each.

    Returns:
        bool (N,), True for valid run lengths.
    """
    lengths = np.array([len(run) for run in runs], np.int64)
    characters = np.frombuffer(b"".join(runs), np.uint8).astype(np.int64) - 48
    valid = lengths > 0
    owner = np.repeat(np.arange(len(runs)), lengths)
    last = (characters & 0x20) == 0
    valid[owner[(characters < 0) | (characters > 63)]] = False
    ends = np.cumsum(lengths) - 1
    valid[valid] = last[ends[valid]]
    # a mask cut off in the middle of a number must not take digits from the next mask
    last[ends[lengths > 0]] = True
    numbers, number_owner, too_long = _numbers(characters, last, owner)
    valid[number_owner[too_long]] = False
    return valid & _sums_up(numbers, number_owner, pixels)


def _numbers(characters: NDArray[np.int64], last: Flags, owner: NDArray[np.int64]) -> tuple[Array, Array, Flags]:
    """Join base-32 digits to signed numbers.

    Example: "T1" has the codes 84 and 49, less 48: 36 and 1. 36 = 32 (another digit follows) + 4, so the digits are
    4 and 1, the number 4 + 1 * 32 = 36.

    Args:
        characters: codes less 48, of all masks.
        last: whether a character is the last of its number.
        owner: the mask of each character.

    Returns:
        the numbers (int64), the mask of each (int64), and whether it has more than `_MAX_DIGITS` (bool).
    """
    final = np.flatnonzero(last)
    first = np.concatenate(([0], final[:-1] + 1)) if len(final) else final
    digits = final - first + 1
    position = np.minimum(np.arange(len(characters)) - np.repeat(first, digits), _MAX_DIGITS)
    parts = (characters & 0x1F) << (5 * position)
    values = np.add.reduceat(parts, first) if len(first) else parts
    negative = (characters[final] & 0x10) != 0
    values = values - (negative.astype(np.int64) << (5 * np.minimum(digits, _MAX_DIGITS)))
    return values, owner[final], digits > _MAX_DIGITS


def _sums_up(numbers: NDArray[np.int64], owner: NDArray[np.int64], pixels: NDArray[np.int64]) -> Flags:
    """Undo the differences; check of each mask that no count is negative and all sum up to its pixels."""
    # Worked example: masks A and B, each of a picture of 33 pixels.
    #   numbers         A: 10 4 6 1 2   B: 20 9 4
    #   index           A:  0 1 2 3 4   B:  0 1 2
    # Counts 0, 1, 2 are written as they are; count 3 as its difference to count 1, count 4 to count 2, and so on.
    # So the counts of odd index are a cumulative sum, and those of even index from 2 on are another.
    # One cumulative sum runs over all masks; the sum before the first item of a mask is subtracted again:
    #   odd:  numbers A: 4 1, B: 9   running 4 5 14   before 0 0 5   counts 4 5 9
    #   even: numbers A: 6 2, B: 4   running 6 8 12   before 0 0 8   counts 6 8 4
    #   counts          A: 10 4 6 5 8 (sum 33)   B: 20 9 4 (sum 33)
    first = np.searchsorted(owner, np.arange(len(pixels)))
    index = np.arange(len(numbers)) - first[owner]
    counts = numbers.copy()
    for parity in (0, 1):
        summed = np.flatnonzero((index > 0) & (index % 2 == parity))
        running = np.cumsum(numbers[summed])
        is_start = index[summed] <= 2  # the first of its mask: index 1 if odd, 2 if even
        start = np.maximum.accumulate(np.where(is_start, np.arange(len(summed)), 0))
        before = running[start] - numbers[summed][start]
        counts[summed] = running - before
    total = np.bincount(owner, np.abs(counts), len(pixels))
    amount = np.bincount(owner, minlength=len(pixels))
    natural = np.bincount(owner, counts < 0, len(pixels)) == 0
    valid: Flags = natural & (total == pixels) & (amount <= pixels + 1)
    return valid


def _any_ring(bad: Flags, table: _Table) -> Flags:
    """Combine a flag of each ring, bool (R,), to one of each annotation, bool (A,): any ring has it."""
    owner = np.repeat(np.arange(len(table.ring_count)), table.ring_count)
    found: Flags = np.bincount(owner[bad], minlength=len(table.ring_count)) > 0
    return found


def _extent(table: _Table) -> tuple[Array, Array]:
    """The smallest and the largest x, y of each ring: (R, 2) both."""
    xy = table.numbers.reshape(-1, 2)
    first = table.first_number // 2
    if not len(first):
        return np.empty((0, 2)), np.empty((0, 2))
    return np.minimum.reduceat(xy, first), np.maximum.reduceat(xy, first)


def _is_too_long(table: _Table, _: Frame) -> Flags:
    """Whether drawing would overflow the integers of pycocotools or take too much memory."""
    low, high = _extent(table)
    far: Flags = np.maximum(-low, high).max(axis=1, initial=0) > FARTHEST
    # no edge is longer than the box; the exact length is computed only for rings above this bound
    long: Flags = (high / 2 - low / 2).max(axis=1, initial=0) > LONGEST / table.number_count
    first = table.first_number
    for ring in np.flatnonzero(long & ~far):
        long[ring] = is_too_long(table.numbers[first[ring] :][: table.number_count[ring]].reshape(-1, 2))
    return _any_ring(np.logical_or(far, long), table)


def is_too_long(ring: Array) -> bool:
    """Whether a ring (N, 2) is so far off or so long that pycocotools would overflow and kill the process."""
    edges = np.abs(ring - np.roll(ring, 1, axis=0)).max(axis=1)
    return bool(np.abs(ring).max() > FARTHEST or edges.sum() > LONGEST)


def _is_outside(table: _Table, frame: Frame) -> Flags:
    """Whether an annotation has rings and all of them lie outside its picture."""
    low, high = _extent(table)
    limit = np.repeat(frame.sizes[table.row][:, ::-1], table.ring_count, axis=0)
    inside: Flags = np.logical_and.reduce((high > 0) & (low < limit), axis=1)
    outside: Flags = np.logical_and(table.ring_count > 0, ~_any_ring(inside, table))
    return outside


def _is_bad_run(table: _Table, frame: Frame) -> Flags:
    """Whether an annotation has run lengths, and these do not cover its picture exactly."""
    bad: Flags = table.is_run.copy()
    runs, end = table.runs.tobytes(), np.cumsum(table.run_bytes)
    rows = np.flatnonzero(bad)
    texts = [runs[end[i] - table.run_bytes[i] : end[i]] for i in rows]
    if texts:
        bad[rows] = ~are_valid_runs(texts, frame.sizes[table.row[rows]].astype(np.int64).prod(axis=1))
    return bad


_CHECKS = {
    "of an unknown picture": lambda table, _: table.row < 0,
    "of an unknown category": lambda table, _: table.kind < 0,
    "without an outline": lambda table, _: (table.ring_count == 0) & ~table.is_run,
    "with an odd number of coordinates": lambda table, _: _any_ring(table.number_count % 2 == 1, table),
    "with fewer than 3 points": lambda table, _: _any_ring(table.number_count < 6, table),
    "with an outline that is too long to draw": _is_too_long,
    "outside the picture": _is_outside,
    "with run lengths that do not fill the picture": _is_bad_run,
}
