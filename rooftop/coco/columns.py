"""Parsed annotations as numpy arrays. What cannot be drawn is left out, ring by ring, counted and listed.

An annotation without any ring that can be drawn is rejected. Its bounding box, where the file states one, becomes
ground that is not judged: there is a roof, but nobody knows its outline.

Run lengths (RLE) are checked before they reach the C code of pycocotools, since that code trusts its input.

Compressed run lengths (pycocotools, maskApi.c, `rleToString`) write each number in base 32, lowest digit first,
one character a digit: code = 48 + digit, + 32 if another digit follows; + 16 in the last digit means negative.
From the fourth number on, the file contains the difference to the number two positions earlier.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import NamedTuple, TypeAlias, cast

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco.arrays import Array
from rooftop.coco.parse import NO_ID, NOT_JSON, Annotation, RunLengths

Flags: TypeAlias = NDArray[np.bool_]

SHOWN = 1000  # rejected annotations listed by id; all of them are counted
FARTHEST = 1e6  # pixels from the origin; pycocotools stores fifths of a pixel in 32 bits
LONGEST = 4e6  # pixels along one ring; pycocotools takes 80 bytes of memory for each
DRAWN = 0  # use of an annotation: an object
SCORED = 1  # covers no pixel and is no object here, but COCOeval counts it as one that nobody finds
UNJUDGED = 2  # the box, a crowd, of an outline that cannot be drawn
UNKNOWN = 3  # of an unknown category; for COCOeval it hides earlier annotations with its id
STRAY = "with a ring of fewer than 3 points, left out"
_ODD = "with an odd number of coordinates in a ring, drawn without the last one, as pycocotools does"
_LONG = "with a ring that is too long to draw, left out"
_UNKNOWN = "of an unknown category"
_OUTSIDE = "outside the picture"
_BAD_RUN = "with run lengths that do not fill the picture"
_USES = {_UNKNOWN: UNKNOWN, _OUTSIDE: SCORED, _BAD_RUN: SCORED}  # of rejected annotations, if any
_BBOX = msgspec.json.Decoder(tuple[float, float, float, float])
_BOX_MARGIN = 1.0  # pixels that a stated box may reach beyond its picture
_MAX_DIGITS = 6  # characters a number: 30 bits, more than the pixels of any picture


@dataclass(frozen=True)
class Rejected:
    """Annotations that cannot be used.

    Attributes:
        counts: number of annotations for each reason.
        listed: (annotation id, reason) of the first `SHOWN`; the id is None if it could not be read.
        boxed: number of them with a known box, not judged there; elsewhere they count as background.
    """

    counts: Mapping[str, int]
    listed: Sequence[tuple[int | None, str]]
    boxed: int = 0

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """One line for a log: "3 annotations left out: 2 with fewer than 3 points, 1 outside the picture"."""
        if not self.counts:
            return "no annotation left out"
        boxed = f"; {self.boxed} of them not judged inside their box" if self.boxed else ""
        return f"{len(self)} annotation{'s' if len(self) > 1 else ''} left out: {_reasons(self.counts)}{boxed}"


@dataclass(frozen=True)
class Damaged:
    """Annotations of which a part cannot be used; the rest of them is used.

    Attributes:
        counts: number of annotations for each reason, a key of `STRAY` or another.
        listed: (annotation id, reason) of the first `SHOWN`.
    """

    counts: Mapping[str, int]
    listed: Sequence[tuple[int | None, str]]

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """One line for a log: "2 annotations used in part: 2 with a ring of fewer than 3 points, left out"."""
        if not self.counts:
            return "no annotation used in part"
        return f"{len(self)} annotation{'s' if len(self) > 1 else ''} used in part: {_reasons(self.counts)}"


def _known(identity: int | None) -> int | None:
    return None if identity == NO_ID else identity


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


@dataclass
class Tally:
    """Collects rejected and damaged annotations while a file is read; see `Rejected` and `Damaged`."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[int | None, str]] = field(default_factory=list)
    boxed: int = 0
    damaged: Counter[str] = field(default_factory=Counter)
    damaged_listed: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, identity: int | None, reason: str) -> None:
        """Count one rejected annotation."""
        self.counts[reason] += 1
        if len(self.listed) < SHOWN:
            self.listed.append((_known(identity), reason))

    def add_damaged(self, identity: int | None, reason: str) -> None:
        """Count one annotation that is used in part."""
        self.damaged[reason] += 1
        if len(self.damaged_listed) < SHOWN:
            self.damaged_listed.append((_known(identity), reason))

    def merge(self, other: "Tally") -> None:
        """Append the annotations of a later part of the file."""
        self.counts.update(other.counts)
        self.damaged.update(other.damaged)
        self.boxed += other.boxed
        self.listed.extend(other.listed[: SHOWN - len(self.listed)])
        self.damaged_listed.extend(other.damaged_listed[: SHOWN - len(self.damaged_listed)])


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
        kind: int32 (A,), position of its category in the list of categories; -1 if unknown.
        crowd: bool (A,), the outline covers a group of uncounted objects.
        area: float64 (A,), square pixels, NaN if missing.
        use: int8 (A,), `DRAWN`, `SCORED`, `UNJUDGED` or `UNKNOWN`.
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
    use: Array
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


def columns(
    annotations: Sequence[Annotation], frame: Frame, tally: Tally, lost: Sequence[tuple[Annotation, str]] = ()
) -> Columns:
    """Convert annotations to columns.

    Args:
        annotations: in the order of the file.
        frame: pictures and categories to which they refer.
        tally: counts rejected and damaged annotations, the former with the first reason found.
        lost: annotations without a readable outline, each with the reason; with "" those that lack a ring only.
    """
    left = _Remaining(annotations, frame, tally)
    for annotation, reason in lost:
        left.lose(len(annotations), annotation, reason)
    left.reject("of an unknown picture", left.table.row < 0)
    left.reject(_UNKNOWN, left.table.kind < 0)
    left.reject("without an outline", (left.table.ring_count == 0) & ~left.table.is_run)
    left.drop_rings(STRAY, left.table.number_count < 6, "with fewer than 3 points")
    left.trim_rings(_ODD, left.table.number_count % 2 == 1)
    left.drop_rings(_LONG, _is_too_long(left.table), "with an outline that is too long to draw")
    left.reject(_OUTSIDE, _is_outside(left.table, frame))
    left.reject(_BAD_RUN, _is_bad_run(left.table, frame))
    table, use = left.joined()
    return Columns(
        id=table.id,
        row=table.row,
        kind=table.kind,
        crowd=table.crowd,
        area=table.area,
        use=use,
        ring_count=table.ring_count,
        run_bytes=table.run_bytes,
        point_count=table.number_count // 2,
        xy=table.numbers.reshape(-1, 2),
        runs=table.runs,
    )


class _Remaining:
    """Annotations that no check has rejected yet.

    Attributes:
        table: of these annotations.
    """

    def __init__(self, annotations: Sequence[Annotation], frame: Frame, tally: Tally) -> None:
        self._frame, self._tally = frame, tally
        self._annotations, self._positions = list(annotations), np.arange(len(annotations))
        self._extra: list[tuple[int, Annotation, int]] = []  # position, annotation, use
        self.table = _flatten(self._annotations, frame)

    def reject(self, reason: str, bad: Flags) -> None:
        """Remove annotations, bool (A,)."""
        if not bad.any():
            return
        for i in np.flatnonzero(bad).tolist():
            self.lose(int(self._positions[i]), self._annotations[i], reason)
        self._positions = self._positions[~bad]
        self._update(list(compress(self._annotations, ~bad)))

    def lose(self, position: int, annotation: Annotation, reason: str) -> None:
        """Count an annotation as rejected; keep what COCOeval sees of it, and its box. Without reason only the box."""
        if not reason:
            self._keep_box(position, annotation)
            return
        self._tally.add(annotation.id, reason)
        if use := _USES.get(reason):
            self._extra.append((position, structs.replace(annotation, segmentation=[]), use))
        if reason != _OUTSIDE:
            self._tally.boxed += self._keep_box(position, annotation)

    def drop_rings(self, damage: str, bad: Flags, reason: str) -> None:
        """Remove rings, bool (R,), and annotations without any other ring."""
        if not bad.any():
            return
        empty = np.zeros(len(self._annotations), bool)
        for i, rings, flags in self._with_bad_rings(bad):
            rest = [ring for ring, is_bad in zip(rings, flags, strict=True) if not is_bad]
            empty[i] = not rest
            if rest:
                self._damage(i, damage, rest)
            if rest and damage == _LONG:
                self._keep_box(int(self._positions[i]), self._annotations[i])
        self._update(self._annotations)
        self.reject(reason, empty)

    def trim_rings(self, damage: str, odd: Flags) -> None:
        """Remove the last number of rings, bool (R,)."""
        if not odd.any():
            return
        for i, rings, flags in self._with_bad_rings(odd):
            self._damage(i, damage, [ring[: len(ring) - is_odd] for ring, is_odd in zip(rings, flags, strict=True)])
        self._update(self._annotations)

    def joined(self) -> tuple["_Table", Array]:
        """The table of all that is left, in the order of the file, and the use of each row."""
        if not self._extra:
            return self.table, np.zeros(len(self._annotations), np.int8)
        drawn = (
            (position, one, DRAWN) for position, one in zip(self._positions.tolist(), self._annotations, strict=True)
        )
        rows = sorted((*drawn, *self._extra), key=lambda row: row[0])
        return _flatten([one for _, one, _ in rows], self._frame), np.array([use for _, _, use in rows], np.int8)

    def _with_bad_rings(self, bad: Flags) -> Iterator[tuple[int, list[list[float]], list[bool]]]:
        """Yield number, rings, and a flag for each ring of every annotation with a bad ring."""
        end = np.cumsum(self.table.ring_count)
        for i in np.unique(np.searchsorted(end, np.flatnonzero(bad), side="right")).tolist():
            rings = cast("list[list[float]]", self._annotations[i].segmentation)
            yield i, rings, bad[end[i] - len(rings) : end[i]].tolist()

    def _damage(self, i: int, damage: str, rings: list[list[float]]) -> None:
        self._tally.add_damaged(self._annotations[i].id, damage)
        self._annotations[i] = structs.replace(self._annotations[i], segmentation=rings)

    def _keep_box(self, position: int, annotation: Annotation) -> bool:
        """Keep the stated box as a crowd, if there is one inside the picture."""
        box = _box(annotation, self._frame)
        if box is None:
            return False
        crowd = structs.replace(annotation, segmentation=[box], iscrowd=1, area=None)
        self._extra.append((position, crowd, UNJUDGED))
        return True

    def _update(self, annotations: list[Annotation]) -> None:
        self._annotations = annotations
        self.table = _flatten(annotations, self._frame)


def _box(annotation: Annotation, frame: Frame) -> list[float] | None:
    """The stated box as a ring; None unless it lies inside the picture and has an area."""
    row = frame.rows.get(annotation.image_id)
    if row is None or annotation.category_id not in frame.kinds:
        return None
    try:
        x, y, wide, high = _BBOX.decode(annotation.bbox)
    except NOT_JSON:
        return None
    right, bottom = x + wide, y + high
    height, width = frame.sizes[row].tolist()
    inside = min(x, y) >= -_BOX_MARGIN and right <= width + _BOX_MARGIN and bottom <= height + _BOX_MARGIN
    return [x, y, right, y, right, bottom, x, bottom] if inside and min(wide, high) > 0 else None


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


def compress_run(counts: Sequence[float], height: int, width: int) -> bytes:
    """Compress run lengths given as a list of whole numbers; empty unless they cover the picture exactly."""
    lengths = np.array(counts, np.float64)
    if not 0 < len(lengths) <= height * width + 1 or lengths.sum() != height * width:
        return b""
    if lengths.min() < 0 or (lengths % 1).any():
        return b""
    run = {"size": [height, width], "counts": lengths.astype(np.uint32)}
    compressed: bytes = coco.frPyObjects(run, height, width)["counts"]
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


def _is_too_long(table: _Table) -> Flags:
    """Whether drawing each ring would overflow the integers of pycocotools or take too much memory: bool (R,)."""
    low, high = _extent(table)
    far: Flags = np.maximum(-low, high).max(axis=1, initial=0) > FARTHEST
    # no edge is longer than the box; the exact length is computed only for rings above this bound
    long: Flags = (high / 2 - low / 2).max(axis=1, initial=0) > LONGEST / table.number_count
    first = table.first_number
    for ring in np.flatnonzero(long & ~far):
        long[ring] = is_too_long(table.numbers[first[ring] :][: table.number_count[ring]].reshape(-1, 2))
    return np.logical_or(far, long)


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
