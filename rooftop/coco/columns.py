"""Parsed annotations to columns of numbers, leaving out the ones that cannot be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arena import Array
from rooftop.coco.rejected import Tally
from rooftop.coco.rle import fill, pack
from rooftop.coco.schema import Annotation, RunLengths

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
