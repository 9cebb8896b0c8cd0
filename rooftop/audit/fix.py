"""Write cleaned annotation files; the originals are never touched."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.audit.audit import Split
from rooftop.audit.border import doubtful_areas
from rooftop.audit.pictures import Pairs, groups
from rooftop.audit.shift import moved
from rooftop.coco import CocoObject, Picture, measured, plain_name, write_annotations
from rooftop.errors import DataError
from rooftop.raster.rasterise import encode, rasterise, run_area

Shared = Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_]]


def write_fixed(
    folder: Path,
    splits: Sequence[Split],
    pairs: Pairs,
    *,
    shared: Shared | None = None,
    borders: bool = True,
    crowds: bool = True,
    shifts: bool = False,
) -> dict[str, dict[str, int]]:
    """Write `<folder>/<split>.json` of every split with annotations.

    Pictures: unreadable ones and those of another size are left out. Of several copies, turned and mirrored ones
    included, only the first is kept, so no picture is in two splits.

    Annotations: shapely's `make_valid` repairs self-crossing outlines, second copies are left out, areas and boxes are
    measured again, and all are numbered from 1 if an id repeats or is 0, which COCOeval would count wrongly. Borders
    with missing roofs become `iscrowd` areas, so a roof found there is not counted as wrong; so do the boxes of
    outlines that cannot be drawn.

    Args:
        folder: for the files.
        splits: after the audit, in order of priority.
        pairs: of equal or nearly equal pictures.
        shared: called with names of earlier pictures and names to test; returns bool (n,), True for a name in the same
            place as an earlier picture. These are left out too. None: only copies are left out.
        borders: whether borders with missing roofs become `iscrowd` areas.
        crowds: whether `iscrowd` areas of the original stay so; else they become single roofs.
        shifts: whether shifted labels are moved. With `borders`, the strip of a picture that they leave becomes an
            `iscrowd` area: its labels are unknown.

    Returns:
        By split the number of pictures kept, left out, kept with a border not judged, and with labels moved.

    Raises:
        DataError: the folder contains one of the original files, or nothing is left of a split.
    """
    keep = _first_of_group(splits, pairs)
    if shared:
        _leave_out(splits, keep, shared)
    for split, kept in zip(splits, keep, strict=True):
        if not any(kept):
            raise DataError(
                f"{split.name}: every picture is unreadable or a copy of one in an earlier split; leave this split out "
                f"(data.{split.name}=null), or give it other pictures."
            )
    report = {}
    for split, kept in zip(splits, keep, strict=True):
        if split.index is None:
            continue
        target = folder / f"{split.name}.json"
        if target.exists() and target.samefile(split.index.source):
            raise DataError(f"fix={folder} contains the original {target.name}; name another folder.")
        moves = split.shifts.by_row() if shifts and split.shifts else {}
        doubtful = doubtful_areas(split.index, split.borders, moves) if borders else {}
        write_annotations(target, _pictures(split, kept, doubtful, moves, crowds=crowds), split.index.categories)
        counts = {"pictures": sum(kept), "left_out": len(kept) - sum(kept)}
        counts["at_border"] = sum(kept[row] for row in doubtful)
        report[split.name] = counts | {"moved": sum(kept[row] for row in moves)}
    return report


def _first_of_group(splits: Sequence[Split], pairs: Pairs) -> list[list[bool]]:
    """For every split: whether each picture is usable and the first of its group."""
    usable = [_usable(split) for split in splits]
    label = groups(pairs, sum(map(len, usable)))
    taken: set[int] = set()
    keep, start = [], 0
    for part in usable:
        kept = []
        for i, is_usable in enumerate(part, start):
            kept.append(is_usable and int(label[i]) not in taken)
            if is_usable:
                taken.add(int(label[i]))
        keep.append(kept)
        start += len(part)
    return keep


def _leave_out(splits: Sequence[Split], keep: Sequence[list[bool]], shared: Shared) -> None:
    """Drop the pictures of each split in the same place as a kept picture of an earlier split; changes `keep`."""
    earlier: list[str] = []
    for split, kept in zip(splits, keep, strict=True):
        rows = np.flatnonzero(kept).tolist()
        names = [split.names[i] for i in rows]
        for i in np.asarray(rows, np.int64)[shared(earlier, names)].tolist():
            kept[i] = False
        if len(rows) and not any(kept):
            raise DataError(
                f"{split.name}: all pictures lie in places of earlier splits; set a finer data.place, or apart=copies."
            )
        earlier += [split.names[i] for i in np.flatnonzero(kept).tolist()]


def _usable(split: Split) -> list[bool]:
    """Whether each picture has a readable file of the stated size."""
    assert split.facts is not None
    if split.index is None:
        return [not fault for fault in split.facts.fault]
    fits = (split.facts.sizes == split.index.sizes).all(axis=1)
    seen: set[str] = set()
    usable = []
    for name, fault, is_fitting in zip(split.names, split.facts.fault, fits, strict=True):
        usable.append(not fault and bool(is_fitting) and plain_name(name) not in seen)
        if usable[-1]:
            seen.add(plain_name(name))
    return usable


def _pictures(
    split: Split,
    kept: Sequence[bool],
    doubtful: Mapping[int, Sequence[CocoObject]],
    moves: Mapping[int, tuple[float, float]],
    *,
    crowds: bool,
) -> Iterator[Picture]:
    """Yield the pictures to keep, with cleaned annotations; several entries of one file are joined.

    Args:
        split: after the audit.
        kept: whether to keep each picture.
        doubtful: areas not to be judged, by row of the picture.
        moves: dx and dy in pixels of the labels, by row of the picture.
        crowds: whether `iscrowd` areas stay so.
    """
    assert split.index is not None
    entries = defaultdict[tuple[str, int, int], list[int]](list)
    numbers = count(split.index.last_annotation_id + 1 + sum(map(len, doubtful.values())))
    for i, (name, (height, width)) in enumerate(zip(split.names, split.index.sizes.tolist(), strict=True)):
        entries[plain_name(name), height, width].append(i)
    new_ids = count(1) if split.index.repeats_ids or split.index.has_id_zero else None
    for i in np.flatnonzero(kept).tolist():
        height, width = split.index.sizes[i].tolist()
        seen: list[CocoObject] = []
        rows = entries[plain_name(split.names[i]), height, width]
        for thing in (each for row in rows for each in split.index.objects(row)):
            thing = thing if crowds else replace(thing, is_crowd=False)
            copy = any(
                replace(thing, annotation_id=0, area=0) == replace(other, annotation_id=0, area=0) for other in seen
            )
            if not copy:
                seen.append(thing)
        seen += [replace(box, annotation_id=next(numbers)) for row in rows for box in split.index.unjudged(row)]
        seen = [fixed for thing in seen if (fixed := repaired(thing, height, width))]
        if i in moves:
            seen = [there for thing in seen if (there := inside(moved(thing, moves[i], height, width), height, width))]
        seen += [area for row in rows for area in doubtful.get(row, ())]
        objects = [measured(thing, height, width) for thing in seen]
        if new_ids:
            objects = [replace(thing, annotation_id=next(new_ids)) for thing in objects]
        yield Picture(int(split.index.ids[i]), split.index.names[i], height, width, objects)


def repaired(thing: CocoObject, height: int, width: int) -> CocoObject | None:
    """Repair self-crossing rings with shapely's `make_valid`; None if nothing is left of the object.

    COCO rings cannot express holes: an object with a hole becomes run lengths.
    """
    if thing.rings is None or all(Polygon(ring).is_valid for ring in thing.rings):
        return thing
    valid = [shapely.make_valid(Polygon(ring)) for ring in thing.rings]
    polygons = [part for shape in valid for part in shapely.get_parts(shape, return_index=False) if _is_area(part)]
    polygons = [piece for part in polygons for piece in shapely.get_parts(part) if piece.area > 0]
    if not polygons:
        return None
    if any(polygon.interiors for polygon in polygons):
        return replace(thing, rings=None, rle=encode(rasterise(polygons, height, width)))
    return replace(thing, rings=[np.asarray(polygon.exterior.coords)[:-1] for polygon in polygons])


def inside(thing: CocoObject, height: int, width: int) -> CocoObject | None:
    """Cut an object with valid rings, or run lengths, at the border of its picture; None if nothing is left."""
    if thing.rle is not None:
        return thing if run_area(thing.rle) else None
    frame = shapely.box(0, 0, width, height)
    parts = [part for ring in thing.rings or () for part in shapely.get_parts(frame.intersection(Polygon(ring)))]
    rings = [np.asarray(part.exterior.coords)[:-1] for part in parts if _is_area(part)]
    return replace(thing, rings=rings) if rings else None


def _is_area(shape: shapely.Geometry) -> bool:
    return shape.geom_type in ("Polygon", "MultiPolygon")
