"""What was left out of an annotation file, and why: counted, and listed by id.

Run lengths from a file, checked before they reach the C code of pycocotools, which trusts them.

Compressed counts are numbers of 5 bits a character (code 48-111, bit 6: another character follows, bit 5 of
the last one: negative), from the fourth on as the difference to the one before the last (maskApi.c,
rleToString).

Parsed annotations to columns of numbers, leaving out the ones that cannot be drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco.arrays import Array
from rooftop.coco.parse import Annotation, RunLengths

SHOWN = 1000  # at most so many are listed by id; all are counted


@dataclass(frozen=True)
class Rejected:
    """Annotations that cannot be used.

    counts: how many for each reason.
    listed: (annotation id, reason) of the first `SHOWN`; the id is None where not even that could be read.
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
    """Rejections as they are found."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, identity: int | None, reason: str) -> None:
        """Count one annotation that is left out."""
        self.counts[reason] += 1
        if len(self.listed) < SHOWN:
            self.listed.append((identity, reason))

    def merge(self, other: "Tally") -> None:
        """Count what another one found after this one."""
        self.counts.update(other.counts)
        self.listed.extend(other.listed[: SHOWN - len(self.listed)])


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


Columns: TypeAlias = dict[str, Array]
Verdict: TypeAlias = NDArray[np.bool_]

FARTHEST = 1e6  # pixels from the origin; pycocotools counts fifths of a pixel in 32 bits
LONGEST = 4e6  # pixels along one ring; pycocotools takes 80 bytes of memory for each


@dataclass(frozen=True)
class Frame:
    """What annotations refer to.

    rows: of pictures by id. sizes: int32 (N, 2), height and width. kinds: index of categories by id.
    """

    rows: Mapping[int, int]
    sizes: NDArray[np.int32]
    kinds: Mapping[int, int]


def columns(annotations: Sequence[Annotation], frame: Frame, tally: Tally) -> Columns:
    """Turn annotations into columns; those that cannot be drawn go to `tally` with the first reason found.

    Returns:
        by annotation: `id`, `row` of its picture, `kind` (index of its category), `crowd` (bool), `area` (NaN
        if missing), `rings` (how many), `run` (bytes of its run lengths); by ring: `points` (how many); by
        point: `xy` (P, 2); and `runs`, the bytes of all run lengths.
    """
    table = _flatten(annotations, frame)
    for reason, check in _CHECKS.items():
        bad = check(table, frame)
        if bad.any():
            for annotation in compress(annotations, bad):
                tally.add(annotation.id, reason)
            annotations = list(compress(annotations, ~bad))
            table = _flatten(annotations, frame)
    table["points"] = table.pop("numbers") // 2
    table["xy"] = table["xy"].reshape(-1, 2)
    del table["is_run"]
    return table


def _flatten(annotations: Sequence[Annotation], frame: Frame) -> Columns:
    """Columns as in `columns`, but unchecked: `numbers` by ring, a flat `xy`, and `is_run` besides."""
    outlines = [a.segmentation if type(a.segmentation) is list else () for a in annotations]
    rings = list(chain.from_iterable(outlines))
    numbers = np.array(list(map(len, rings)), np.int64)
    rows = [frame.rows.get(a.image_id, -1) for a in annotations]
    runs = [_run(a, row, frame) for a, row in zip(annotations, rows, strict=True)] if () in outlines else []
    return {
        "id": np.array([a.id for a in annotations], np.int64),
        "row": np.array(rows, np.int32),
        "kind": np.array([frame.kinds.get(a.category_id, -1) for a in annotations], np.int32),
        "crowd": np.array([a.iscrowd for a in annotations], np.bool_),
        "area": np.array([a.area for a in annotations], np.float64),  # None becomes NaN
        "rings": np.array(list(map(len, outlines)), np.int64),
        "is_run": np.array([type(a.segmentation) is RunLengths for a in annotations], np.bool_),
        "run": np.array([len(run) for run in runs] or [0] * len(annotations), np.int64),
        "numbers": numbers,
        "xy": np.fromiter(chain.from_iterable(rings), np.float64, int(numbers.sum())),
        "runs": np.frombuffer(b"".join(runs), np.uint8),
    }


def _run(annotation: Annotation, row: int, frame: Frame) -> bytes:
    """Compressed run lengths; nothing if the annotation has none or their size is not the picture's."""
    run = annotation.segmentation
    if not isinstance(run, RunLengths) or row < 0 or run.size != tuple(frame.sizes[row].tolist()):
        return b""
    return run.counts.encode() if isinstance(run.counts, str) else pack(run.counts, *run.size)


def _any_ring(bad: Verdict, table: Columns) -> Verdict:
    """Whether an annotation has a bad ring, from whether each ring is bad."""
    owner = np.repeat(np.arange(len(table["rings"])), table["rings"])
    verdict: Verdict = np.bincount(owner[bad], minlength=len(table["rings"])) > 0
    return verdict


def _extent(table: Columns) -> tuple[Array, Array]:
    """The least and the greatest x, y of each ring: (R, 2) both."""
    xy = table["xy"].reshape(-1, 2)
    first = (np.cumsum(table["numbers"]) - table["numbers"]) // 2
    if not len(first):
        return np.empty((0, 2)), np.empty((0, 2))
    return np.minimum.reduceat(xy, first), np.maximum.reduceat(xy, first)


def _is_too_long(table: Columns, _: Frame) -> Verdict:
    """Whether drawing would overflow the numbers of pycocotools or take an absurd amount of memory."""
    low, high = _extent(table)
    far: Verdict = np.maximum(-low, high).max(axis=1, initial=0) > FARTHEST
    # no edge is longer than the box; the exact length is only asked for where this bound is not enough
    long: Verdict = (high / 2 - low / 2).max(axis=1, initial=0) > LONGEST / table["numbers"]
    first = np.cumsum(table["numbers"]) - table["numbers"]
    for ring in np.flatnonzero(long & ~far):
        long[ring] = is_absurd(table["xy"][first[ring] :][: table["numbers"][ring]].reshape(-1, 2))
    return _any_ring(np.logical_or(far, long), table)


def is_absurd(ring: Array) -> bool:
    """Whether a ring (N, 2) is so far off or so long that pycocotools would overflow, which kills the process."""
    edges = np.abs(ring - np.roll(ring, 1, axis=0)).max(axis=1)
    return bool(np.abs(ring).max() > FARTHEST or edges.sum() > LONGEST)


def _is_outside(table: Columns, frame: Frame) -> Verdict:
    """Whether an annotation has rings and all of them lie outside its picture."""
    low, high = _extent(table)
    limit = np.repeat(frame.sizes[table["row"]][:, ::-1], table["rings"], axis=0)
    inside: Verdict = np.logical_and.reduce((high > 0) & (low < limit), axis=1)
    outside: Verdict = np.logical_and(table["rings"] > 0, ~_any_ring(inside, table))
    return outside


def _is_bad_run(table: Columns, frame: Frame) -> Verdict:
    """Whether an annotation has run lengths that do not fill its picture."""
    bad: Verdict = table["is_run"].copy()
    text, end = table["runs"].tobytes(), np.cumsum(table["run"])
    chosen = np.flatnonzero(bad)
    texts = [text[end[i] - table["run"][i] : end[i]] for i in chosen]
    if texts:
        bad[chosen] = ~fill(texts, frame.sizes[table["row"][chosen]].astype(np.int64).prod(axis=1))
    return bad


_CHECKS = {
    "of an unknown picture": lambda table, _: table["row"] < 0,
    "of an unknown category": lambda table, _: table["kind"] < 0,
    "without an outline": lambda table, _: (table["rings"] == 0) & ~table["is_run"],
    "with an odd number of coordinates": lambda table, _: _any_ring(table["numbers"] % 2 == 1, table),
    "with fewer than 3 points": lambda table, _: _any_ring(table["numbers"] < 6, table),
    "with an outline that is too long to draw": _is_too_long,
    "outside the picture": _is_outside,
    "with run lengths that do not fill the picture": _is_bad_run,
}
