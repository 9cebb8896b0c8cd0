"""Cleaned annotation files, beside the originals, never over them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.audit.audit import Split
from rooftop.audit.border import doubtful_areas
from rooftop.audit.pictures import Pairs, groups
from rooftop.coco import CocoObject, Picture, measured, write_annotations
from rooftop.errors import DataError
from rooftop.raster.rasterise import encode, rasterise

Shared = Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_]]


def write_fixed(
    folder: Path, splits: Sequence[Split], pairs: Pairs, *, shared: Shared | None = None, borders: bool = True
) -> dict[str, dict[str, int]]:
    """Write `<folder>/<split>.json` of every split with annotations.

    Pictures without a readable file, or of another size, are left out, and all copies of a picture but the first: the
    splits come in order of worth, so that what is in an earlier one is in no later one, turned or mirrored neither.
    Crossing outlines are repaired by shapely's `make_valid`, second copies of an annotation are left out, and areas and
    boxes are measured anew. Borders at which roofs are missing become `iscrowd` areas: what is found there is not held
    against a network.

    Args:
        folder: to write to.
        splits: that were audited.
        pairs: of equal or nearly equal pictures.
        shared: tells of file names which lie in the same place as one of the names that come first; what a later split
            shares with an earlier one is left out, too.
        borders: whether borders at which roofs are missing become `iscrowd` areas.

    Returns:
        by split how many pictures were kept and left out, and how many of the kept have a border that is not judged.

    Raises:
        DataError: the folder holds one of the files that were read, or nothing is left of a split.
    """
    keep = _first_of_group(splits, pairs)
    if shared:
        _leave_out(splits, keep, shared)
    for split, kept in zip(splits, keep, strict=True):
        if not any(kept):
            raise DataError(
                f"{split.name}: no picture can be read and is no copy of one in an earlier split; leave this split out "
                f"(data.{split.name}=null), or give it other pictures."
            )
    report = {}
    for split, kept in zip(splits, keep, strict=True):
        if split.index is None:
            continue
        target = folder / f"{split.name}.json"
        if target.exists() and target.samefile(split.index.source):
            raise DataError(f"fix={folder} holds {target.name} itself; give another folder, originals are not touched.")
        doubtful = doubtful_areas(split.index, split.borders) if borders else {}
        write_annotations(target, _pictures(split, kept, doubtful), split.index.categories)
        at_border = sum(kept[row] for row in doubtful)
        report[split.name] = {"pictures": sum(kept), "left_out": len(kept) - sum(kept), "at_border": at_border}
    return report


def _first_of_group(splits: Sequence[Split], pairs: Pairs) -> list[list[bool]]:
    """Of every split, whether each picture can be used and is the first of its group."""
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
    """Of every split, drop what shares a place with a picture kept in an earlier one."""
    earlier: list[str] = []
    for split, kept in zip(splits, keep, strict=True):
        rows = np.flatnonzero(kept).tolist()
        names = [split.names[i] for i in rows]
        for i in np.asarray(rows, np.int64)[shared(earlier, names)].tolist():
            kept[i] = False
        if len(rows) and not any(kept):
            raise DataError(
                f"{split.name}: all pictures lie in places of earlier splits; give a finer data.place, or apart=copies."
            )
        earlier += [split.names[i] for i in np.flatnonzero(kept).tolist()]


def _usable(split: Split) -> list[bool]:
    """Whether each picture has a readable file of the size stated."""
    assert split.facts is not None
    if split.index is None:
        return [not fault for fault in split.facts.fault]
    fits = (split.facts.sizes == split.index.sizes).all(axis=1)
    seen: set[str] = set()
    usable = []
    for name, fault, is_fitting in zip(split.names, split.facts.fault, fits, strict=True):
        usable.append(not fault and bool(is_fitting) and name not in seen)
        if usable[-1]:
            seen.add(name)
    return usable


def _pictures(split: Split, kept: Sequence[bool], doubtful: Mapping[int, Sequence[CocoObject]]) -> Iterator[Picture]:
    """The pictures to keep, with cleaned annotations; those of several entries of one file come together.

    doubtful: areas of a picture that are not to be judged, by its row.
    """
    assert split.index is not None
    entries = defaultdict[tuple[str, int, int], list[int]](list)
    for i, (name, (height, width)) in enumerate(zip(split.names, split.index.sizes.tolist(), strict=True)):
        entries[name, height, width].append(i)
    for i in np.flatnonzero(kept).tolist():
        height, width = split.index.sizes[i].tolist()
        seen: list[CocoObject] = []
        rows = entries[split.names[i], height, width]
        for thing in (each for row in rows for each in split.index.objects(row)):
            copy = any(
                replace(thing, annotation_id=0, area=0) == replace(other, annotation_id=0, area=0) for other in seen
            )
            if not copy:
                seen.append(thing)
        for row in rows:
            seen += doubtful.get(row, ())
        objects = [measured(fixed, height, width) for thing in seen if (fixed := repaired(thing, height, width))]
        yield Picture(int(split.index.ids[i]), split.index.names[i], height, width, objects)


def repaired(thing: CocoObject, height: int, width: int) -> CocoObject | None:
    """The same object with rings that do not cross; None if nothing is left of it.

    Rings become the polygons that shapely's `make_valid` makes of them; if one has a hole, which COCO's rings cannot
    say, the object becomes run lengths.
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


def _is_area(shape: shapely.Geometry) -> bool:
    return shape.geom_type in ("Polygon", "MultiPolygon")
