"""Annotations of a split: crossings, copies, slips, and what is stated wrongly; sizes and shares for the histograms."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rooftop.audit.findings import Finding, Findings
from rooftop.audit.kept import kept
from rooftop.audit.shape import Shape
from rooftop.coco import CocoObject, Index
from rooftop.coco.arrays import Array, open_arena, write_arena
from rooftop.coco.boxes import stated_boxes
from rooftop.raster.rasterise import rasterise

TINY = 4.0  # square pixels
_BATCH = 256
_CHECKS = 1  # to be counted up when these checks change, so that nothing is taken from an audit by the old ones


@dataclass
class Statistics:
    """Numbers over a split. areas: of each object, in square pixels. shares: of each picture covered by objects.

    counts: objects of each picture. kinds: objects of each category, by its id.
    """

    areas: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    kinds: dict[int, int] = field(default_factory=dict)

    def merge(self, other: "Statistics") -> None:
        """Take in the numbers of other pictures."""
        self.areas += other.areas
        self.shares += other.shares
        self.counts += other.counts
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count


def check_outlines(
    index: Index, store: Path, *, processes: int = 1, progress: Callable[[int], None] | None = None
) -> tuple[Findings, Statistics]:
    """Check every annotation that the index holds.

    Args:
        index: of the annotations.
        store: folder for the boxes that the file states, from where all processes map them, and for what was found; an
            audit that was stopped goes on from there.
        processes: that work at the same time.
        progress: is told how many pictures are done.
    """
    batches = [range(start, min(start + _BATCH, len(index))) for start in range(0, len(index), _BATCH)]
    check = partial(_remember, index, _store_boxes(index, store))
    findings, statistics = Findings(), Statistics()
    with ProcessPoolExecutor(max(1, min(processes, len(batches)))) as pool:
        results = pool.map(check, batches) if processes > 1 else map(check, batches)
        for batch, outcome in zip(batches, results, strict=True):
            findings.merge(outcome.findings)
            statistics.merge(outcome.statistics)
            if progress:
                progress(len(batch))
    return findings, statistics


def _store_boxes(index: Index, store: Path) -> Path:
    """The file of the boxes that the annotation file states."""
    path = store / f"{index.path.stem}.boxes"
    if not path.is_file():
        ids, boxes = stated_boxes(index.source)
        write_arena(path, {"ids": [ids], "boxes": [boxes]}, None)
    return path


@dataclass(frozen=True)
class Outcome:
    """The findings and the numbers of some pictures."""

    findings: Findings
    statistics: Statistics


def _remember(index: Index, stored: Path, rows: range) -> Outcome:
    """What was found in some pictures, out of the store if these annotations were checked before."""
    name = f"{index.path.stem}.{_CHECKS}.{rows.start}-{rows.stop}.outlines"  # the stem is a hash of the annotations
    return kept(stored.with_name(name), Outcome, partial(_check_pictures, index, stored, rows))


def _check_pictures(index: Index, stored: Path, rows: Sequence[int]) -> Outcome:
    findings, statistics = Findings(), Statistics()
    boxes = open_arena(stored)[0]
    for i in rows:
        objects, (height, width) = index.objects(i), index.sizes[i].tolist()
        shapes = [Shape.of(thing, height, width) for thing in objects]
        seen: dict[object, int] = {}
        for thing, shape in zip(objects, shapes, strict=True):
            for finding in _check(thing, shape, index.names[i], _box(boxes, thing.annotation_id)):
                findings.add(finding)
            outline = _outline(thing)
            if outline in seen:
                detail = f"equals annotation {seen[outline]}"
                findings.add(_finding("duplicated annotation", thing, index.names[i], detail))
            seen.setdefault(outline, thing.annotation_id)
        _count(statistics, objects, shapes)
        statistics.shares.append(float(rasterise([o for o in objects if not o.is_crowd], height, width).mean()))
    return Outcome(findings, statistics)


def _check(thing: CocoObject, shape: Shape, picture: str, box: NDArray[np.float64]) -> list[Finding]:
    """What is wrong with one annotation."""
    found = []
    if shape.fault:
        found.append(_finding("self-crossing outline", thing, picture, shape.fault, shape.area))
    if shape.area < TINY:
        found.append(_finding("tiny outline", thing, picture, f"{shape.area:.3g} square pixels", -shape.area))
    if not np.isnan(thing.area) and not shape.fits_area(thing.area):
        detail = f"{thing.area:.6g} stated, {shape.area:.6g} measured"
        found.append(_finding("wrong area", thing, picture, detail, abs(thing.area - shape.area)))
    if not np.isnan(box).any() and not shape.fits_box(box):
        detail = f"{_numbers(box)} stated, {_numbers(shape.box)} measured"
        found.append(_finding("wrong box", thing, picture, detail, float(np.abs(box - shape.box).max())))
    return found


def _finding(kind: str, thing: CocoObject, picture: str, detail: str, weight: float = 0.0) -> Finding:
    return Finding(kind, picture, detail, weight, thing.annotation_id)


def _numbers(box: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{number:.6g}" for number in box) + "]"


def _box(boxes: dict[str, Array], identity: int) -> NDArray[np.float64]:
    """The box that is stated for an annotation."""
    ids, stated = boxes["ids"], boxes["boxes"]
    place = int(np.searchsorted(ids, identity))
    found: NDArray[np.float64] = stated[place] if place < len(ids) and ids[place] == identity else np.full(4, np.nan)
    return found


def _outline(thing: CocoObject) -> object:
    """What two annotations share if one is a copy of the other."""
    rings = tuple(ring.tobytes() for ring in thing.rings or ())
    return thing.category_id, thing.is_crowd, rings, (thing.rle or {}).get("counts")


def _count(statistics: Statistics, objects: Sequence[CocoObject], shapes: Sequence[Shape]) -> None:
    """Add the objects of a picture to the numbers."""
    statistics.counts.append(len(objects))
    statistics.areas += [shape.area for shape in shapes]
    for thing in objects:
        statistics.kinds[thing.category_id] = statistics.kinds.get(thing.category_id, 0) + 1
