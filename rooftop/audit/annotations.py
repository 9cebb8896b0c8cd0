"""Checks of the annotations of a split: self-crossing, duplicated and tiny outlines, wrong areas and boxes.

The sizes and shares for the histograms are counted on the way. Results are cached in batches of pictures, so an
interrupted audit resumes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from rooftop.audit.findings import Finding, Findings
from rooftop.coco import CocoObject, Index
from rooftop.coco.arrays import open_arena, write_arena
from rooftop.coco.learnable import is_normalised
from rooftop.coco.parse import NOT_JSON, Id, map_file, parse_document, parse_list
from rooftop.files import atomic_write
from rooftop.processes import end_with_parent
from rooftop.raster.rasterise import rasterise, run_area, run_box

TINY = 4.0  # square pixels
AREA_TOLERANCE = 0.1  # relative difference of a stated area; annotators count pixels or measure outlines
BOX_TOLERANCE = 1.5  # pixels, difference of a stated box
_BATCH = 256  # pictures in a file of the cache
_CHECKS = 2  # version of the checks; increase it with every change, so old caches are not read


@dataclass(frozen=True)
class Shape:
    """Measurements of one object, to compare with the stated ones.

    Attributes:
        area: of the outline in square pixels.
        length: of the outline in pixels.
        box: x, y, width, height in pixels.
        fault: of a ring, or "".
        thing: the object.
        size: height and width of the picture in pixels.
    """

    area: float
    length: float
    box: NDArray[np.float64]
    fault: str
    thing: CocoObject
    size: tuple[int, int]

    @classmethod
    def of(cls, thing: CocoObject, height: int, width: int) -> Shape:
        """Measure an object in a picture of `height` x `width` pixels."""
        if thing.rle is not None:
            return cls(run_area(thing.rle), 0.0, run_box(thing.rle), "", thing, (height, width))
        polygons = shapely.polygons([shapely.linearrings(ring) for ring in thing.rings or ()])
        low, high = np.reshape(shapely.total_bounds(polygons), (2, 2))
        broken = polygons[~shapely.is_valid(polygons)]
        fault = _short(shapely.is_valid_reason(broken[0])) if len(broken) else ""
        area, length = float(shapely.area(polygons).sum()), float(shapely.length(polygons).sum())
        if fault:  # the formula subtracts parts in the opposite direction, so count pixels instead
            area = float(rasterise([thing], height, width).sum())
        return cls(area, length, np.concatenate([low, high - low]), fault, thing, (height, width))

    def fits_area(self, stated: float) -> bool:
        """Whether a stated area is near the area of the outline, or the number of its pixels.

        Half a pixel along the outline separates the two ways to measure, hence `length / 2`.
        """
        if abs(stated - self.area) <= AREA_TOLERANCE * self.area + self.length / 2 + 1:
            return True
        drawn = float(rasterise([self.thing], *self.size).sum())
        return abs(stated - drawn) <= AREA_TOLERANCE * drawn + 1

    def fits_box(self, stated: NDArray[np.float64]) -> bool:
        """Whether a stated box is near the box of the outline, or of its part inside the picture."""
        limit = np.array(self.size[::-1], np.float64)
        low, high = np.clip([self.box[:2], self.box[:2] + self.box[2:]], 0, limit)
        inside = np.concatenate([low, high - low])
        return any(bool(np.abs(stated - box).max() <= BOX_TOLERANCE) for box in (self.box, inside))


def _short(reason: str) -> str:
    """Shorten the reason given by shapely: coordinates with one decimal."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", reason)


@dataclass
class Statistics:
    """Numbers over a split.

    Attributes:
        areas: of each object in square pixels; areas not judged (`iscrowd`) are no objects.
        shares: covered part of each picture, 0 to 1.
        counts: number of objects in each picture.
        kinds: number of objects of each category, by its id.
    """

    areas: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    kinds: dict[int, int] = field(default_factory=dict)

    def merge(self, other: Statistics) -> None:
        """Add the numbers of other pictures."""
        self.areas += other.areas
        self.shares += other.shares
        self.counts += other.counts
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count


def check_outlines(
    index: Index, store: Path, *, processes: int = 1, progress: Callable[[int], None] | None = None
) -> tuple[Findings, Statistics]:
    """Check every annotation of an index.

    Args:
        index: of the annotations.
        store: folder of the cache: the stated boxes, memory-mapped by all processes, and the results.
        processes: number of parallel processes.
        progress: called with the number of pictures done.
    """
    batches = [range(start, min(start + _BATCH, len(index))) for start in range(0, len(index), _BATCH)]
    check = partial(_cached_batch, index, _store_boxes(index, store))
    findings, statistics = Findings(), Statistics()
    workers = max(1, min(processes, len(batches)))
    with ProcessPoolExecutor(workers, None, end_with_parent, (os.getpid(),)) as pool:
        results = pool.map(check, batches) if processes > 1 else map(check, batches)
        for batch, outcome in zip(batches, results, strict=True):
            findings.merge(outcome.findings)
            statistics.merge(outcome.statistics)
            if progress:
                progress(len(batch))
    return findings, statistics


def _store_boxes(index: Index, store: Path) -> Path:
    """Write the boxes of the annotation file to the cache, once; return the path."""
    path = store / f"{index.path.stem}.{_CHECKS}.boxes"
    if not path.is_file():
        write_arena(path, {"boxes": [boxes_of(index.annotation_ids, *stated_boxes(index.source))]}, None)
    return path


@dataclass(frozen=True)
class Outcome:
    """Findings and numbers of a batch of pictures."""

    findings: Findings
    statistics: Statistics


def _cached_batch(index: Index, stored: Path, rows: range) -> Outcome:
    """Result of a batch, from the cache if these annotations were checked before."""
    name = f"{index.path.stem}.{_CHECKS}.{rows.start}-{rows.stop}.outlines"  # the stem is a hash of the annotations
    return cached(stored.with_name(name), Outcome, partial(_check_pictures, index, stored, rows))


def _check_pictures(index: Index, stored: Path, rows: Sequence[int]) -> Outcome:
    findings, statistics = Findings(), Statistics()
    boxes = open_arena(stored)[0]["boxes"]
    for i in rows:
        objects, (height, width) = index.objects(i), index.sizes[i].tolist()
        shapes = [Shape.of(thing, height, width) for thing in objects]
        seen: dict[object, int] = {}
        for thing, shape, box in zip(objects, shapes, boxes[index.numbers(i)], strict=True):
            for finding in _check(thing, shape, index.names[i], box):
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
    """Findings about one annotation."""
    found = [_finding("not judged", thing, picture, "iscrowd", shape.area)] if thing.is_crowd else []
    low, size = shape.box[:2], np.array(shape.size)
    inside, at_corner = is_normalised(low, low + shape.box[2:], size)
    if thing.rle is None and inside and not at_corner:
        return [*found, _finding("outline from 0 to 1", thing, picture, f"box {_numbers(shape.box)}")]
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


def _outline(thing: CocoObject) -> object:
    """Key of an annotation, equal for copies."""
    rings = tuple(ring.tobytes() for ring in thing.rings or ())
    return thing.category_id, thing.is_crowd, rings, (thing.rle or {}).get("counts")


def _count(statistics: Statistics, objects: Sequence[CocoObject], shapes: Sequence[Shape]) -> None:
    """Add the objects of a picture to the numbers."""
    single = [not thing.is_crowd for thing in objects]
    statistics.counts.append(sum(single))
    statistics.areas += [shape.area for shape in compress(shapes, single)]
    for thing in compress(objects, single):
        statistics.kinds[thing.category_id] = statistics.kinds.get(thing.category_id, 0) + 1


Result = TypeVar("Result")


def cached(path: Path, form: type[Result], work: Callable[[], Result]) -> Result:
    """Read a result from the cache, or compute and store it. Files contain plain values, no code.

    Args:
        path: of the file; its name is the cache key: everything the result depends on.
        form: type of the result: a dataclass of plain fields and dataclasses.
        work: computes the result.
    """
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=form, dec_hook=_made)
    except (OSError, msgspec.DecodeError):
        result = work()
        with atomic_write(path) as part:
            part.write_bytes(msgspec.msgpack.encode(result))
        return result


def _made(form: type[Any], value: Any) -> Any:
    """Rebuild a `Counter` from a plain dict."""
    return form(value)


_NONE = (np.nan,) * 4


class _Boxed(msgspec.Struct, gc=False):
    id: Id
    bbox: list[float] | None = None


class _Identified(msgspec.Struct, gc=False):
    id: Id


def stated_boxes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the boxes of an annotation file; the index has none, because training needs none.

    Returns:
        Annotation ids in the order of the file, int64 (M,), and boxes float64 (M, 4): x, y, width, height in pixels,
        NaN without a box of four numbers. Annotations without a readable id are left out, as in `open_index`.

    Raises:
        DataError: the file is not a COCO annotation file.
    """
    text = map_file(path)
    body = memoryview(parse_document(path, text).annotations)[1:-1]
    ids, boxes = [np.empty(0, np.int64)], [np.empty((0, 4))]
    for piece in parse_list(body, msgspec.json.Decoder(list[_Boxed])):
        known = [boxed for item in piece if (boxed := _boxed(item))]
        ids.append(np.array([item.id for item in known], np.int64))
        stated = [item.bbox if item.bbox and len(item.bbox) == 4 else _NONE for item in known]
        boxes.append(np.array(stated, np.float64).reshape(-1, 4))
    return np.concatenate(ids), np.concatenate(boxes)


def _boxed(item: _Boxed | msgspec.Raw) -> _Boxed | None:
    """Parse an item of a piece with a malformed one; without its box if that is malformed, None without an id."""
    if isinstance(item, _Boxed):
        return item
    with suppress(*NOT_JSON):
        return msgspec.json.decode(item, type=_Boxed)
    with suppress(*NOT_JSON):
        return _Boxed(msgspec.json.decode(item, type=_Identified).id)
    return None


def boxes_of(wanted: NDArray[np.int64], ids: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the box of each annotation.

    Merged files use an id several times. The order of the file then tells which box belongs to which annotation,
    unless one of them was left out of the index.

    Args:
        wanted: ids of the annotations of the index, in the order of the file, int64 (A,).
        ids: those of all annotations of the file, int64 (M,).
        boxes: of the same, float64 (M, 4).

    Returns:
        float64 (A, 4); NaN if there is no box, or it is unknown which one it is.
    """
    stated, order = np.argsort(ids, kind="stable"), np.argsort(wanted, kind="stable")
    ids, wanted = ids[stated], wanted[order]
    first = np.searchsorted(ids, wanted)
    there = np.searchsorted(ids, wanted, side="right") - first
    own = np.searchsorted(wanted, wanted)
    here = np.searchsorted(wanted, wanted, side="right") - own
    known = there == here
    found = np.full((len(wanted), 4), np.nan)
    found[order[known]] = boxes[stated[(first + np.arange(len(wanted)) - own)[known]]]
    return found
