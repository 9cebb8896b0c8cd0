"""Build the index file of an annotation file, in one pass.

The list of annotations is parsed in pieces, by several processes if it is long; memory does not grow with the text.
"""

import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec
import numpy as np

from rooftop.coco.arrays import Array, narrow, write_arena
from rooftop.coco.columns import UNJUDGED, UNKNOWN, Columns, Frame, Tally, columns
from rooftop.coco.names import pack_names, stays_inside
from rooftop.coco.parse import (
    LONGEST,
    NO_ID,
    NO_RING,
    NOT_JSON,
    Annotation,
    Category,
    CutError,
    LongEntryError,
    PictureEntry,
    map_file,
    parse_document,
    parse_list,
    read_loosely,
    split_list,
)
from rooftop.errors import DataError, brief
from rooftop.processes import end_with_parent
from rooftop.raster.picture import MAX_PIXELS

Block: TypeAlias = tuple[Columns, Tally]

BLOCK = 1 << 24  # bytes of text for one task of a process
PROCESSES = 4  # at most
_LONGEST_NAME = 4096  # letters; no file system has longer paths
_ANNOTATION = msgspec.json.Decoder(Annotation)
_ANNOTATIONS = msgspec.json.Decoder(list[Annotation])
_PICTURE = msgspec.json.Decoder(PictureEntry)
_PICTURES = msgspec.json.Decoder(list[PictureEntry])
_CATEGORIES = msgspec.json.Decoder(list[Category])


class _Identity(msgspec.Struct):
    """Only the id of an annotation, of any type; the other fields may be malformed."""

    id: Any = None


def read_annotations(text: msgspec.Raw, frame: Frame) -> tuple[dict[str, list[Array]], Tally]:
    """Parse the list of annotations.

    Args:
        text: the JSON list.
        frame: pictures and categories of the file.

    Returns:
        The arrays of `Columns` by field name, each in pieces to be joined, and the rejected annotations.
    """
    blocks = split_list(text, BLOCK)
    try:
        done = list(_read_together(blocks, frame) if _may_fork(len(blocks)) else _read_alone(blocks, frame))
    except CutError:
        # a cut fell into a string or a nested object, so the list is read as a single block
        done = list(_read_alone([memoryview(text)[1:-1]], frame))
    tally = Tally()
    for _, found in done:
        tally.merge(found)
    pieces = zip(*(block for block, _ in done), strict=True)
    return {name: list(column) for name, column in zip(Columns._fields, pieces, strict=True)}, tally


def _may_fork(tasks: int) -> bool:
    """Whether other processes can share the mapped text, and there is work for more than one."""
    return tasks > 1 and sys.platform == "linux" and not current_process().daemon


def _read_alone(blocks: list[memoryview], frame: Frame) -> Iterator[Block]:
    return (_read_block(block, frame) for block in blocks)


def _read_together(blocks: list[memoryview], frame: Frame) -> Iterator[Block]:
    """Read blocks in forked processes; these share the mapped pages, so only the columns are copied back."""
    workers = min(PROCESSES, len(os.sched_getaffinity(0)), len(blocks))
    with ProcessPoolExecutor(workers, get_context("fork"), _share, (blocks, frame, os.getpid())) as pool:
        yield from pool.map(_read_shared, range(len(blocks)))


_shared: tuple[list[memoryview], Frame] = ([], Frame({}, np.empty((0, 2), np.int32), {}))


def _share(blocks: list[memoryview], frame: Frame, parent: int) -> None:
    """Store the arguments of the forked process; a fork inherits them without a copy."""
    global _shared
    _shared = blocks, frame
    end_with_parent(parent)


def _read_shared(task: int) -> Block:
    return _read_block(_shared[0][task], _shared[1])


def _read_block(text: memoryview, frame: Frame) -> Block:
    """Columns of one block of the list, each of the smallest lossless dtype."""
    tally = Tally()
    parts = [columns([], frame, tally)]
    for piece in parse_list(text, _ANNOTATIONS):
        parsed, lost = _parsed(piece, tally)
        parts.append(Columns._make(map(narrow, columns(parsed, frame, tally, lost))))
    return Columns._make(narrow(np.concatenate(column)) for column in zip(*parts, strict=True)), tally


def _parsed(
    piece: list[Annotation] | list[msgspec.Raw], tally: Tally
) -> tuple[list[Annotation], list[tuple[Annotation, str]]]:
    """The annotations of a piece, and those without a readable outline; unparsed items are parsed one by one."""
    parsed: list[Annotation] = []
    lost: list[tuple[Annotation, str]] = []
    for item in piece:
        if isinstance(item, Annotation):
            return cast("list[Annotation]", piece), []
        try:
            parsed.append(_ANNOTATION.decode(item))
        except NOT_JSON:
            _read_loosely(item, parsed, lost, tally)
    return parsed, lost


def _read_loosely(
    item: msgspec.Raw, parsed: list[Annotation], lost: list[tuple[Annotation, str]], tally: Tally
) -> None:
    """Append a malformed annotation to `parsed`, to `lost`, or only to `tally`."""
    try:
        annotation, damaged, reason = read_loosely(item)
    except ValueError as error:
        tally.add(_identity(item), str(error))
        return
    if reason:
        lost.append((annotation, reason))
        return
    parsed.append(annotation)
    for damage in damaged:
        tally.add_damaged(annotation.id, damage)
    if NO_RING in damaged:  # the roof may reach beyond the rings that can be read
        lost.append((annotation, ""))


def _identity(item: msgspec.Raw) -> int | None:
    """The id of a malformed annotation, None if it cannot be read either."""
    try:
        identity = msgspec.json.decode(item, type=_Identity).id
    except NOT_JSON:
        return None
    return identity if isinstance(identity, int) else None


def build_index(source: Path, target: Path) -> None:
    """Read the annotation file `source` and write its index to `target`, atomically.

    Raises:
        DataError: `source` is not a COCO annotation file, or one of its pictures or categories cannot be used.
    """
    document = parse_document(source, map_file(source))
    with _without_collector(), _short_entries(source):
        categories = _read_categories(source, document.categories)
        pictures = _read_pictures(source, document.images)
        sizes = np.array([(p.height, p.width) for p in pictures], np.int32).reshape(-1, 2)
        rows = {p.id: row for row, p in enumerate(pictures)}
        frame = Frame(rows, sizes, {c.id: kind for kind, c in enumerate(categories)})
        parts, tally = read_annotations(document.annotations, frame)
    names, name_first = pack_names([p.file_name for p in pictures])
    row, ids = np.concatenate(parts.pop("row")), np.array([p.id for p in pictures], np.int64)
    parts["id"] = [narrow(_numbered(np.concatenate(parts["id"])))]
    order, first = _by_picture(row, len(pictures))
    arrays = parts | {
        "ids": [ids],
        "sizes": [sizes],
        "names": [names],
        "name_first": [narrow(name_first)],
        "order": [order],
        "first": [narrow(first)],
    }
    for count, offsets in {"ring_count": "ring_first", "point_count": "point_first", "run_bytes": "run_first"}.items():
        arrays[offsets] = [_offsets(arrays.pop(count))]
    arrays |= _scored(parts["id"][0], np.concatenate(parts["use"]), row, ids)
    meta = {"categories": categories} | vars(tally)
    write_arena(target, arrays, meta)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause Python's garbage collector of reference cycles: parsed lists have none, and it doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _short_entries(source: Path) -> Iterator[None]:
    """Name the file of an entry that is too long to parse."""
    try:
        yield
    except LongEntryError as error:
        raise DataError(
            f"{source}: an entry is longer than {LONGEST >> 20} MB; shorten it, or remove it from the file."
        ) from error


def _read_categories(source: Path, text: msgspec.Raw) -> list[Category]:
    """Parse the categories; their ids must be unique."""
    try:
        categories = _CATEGORIES.decode(text)
    except NOT_JSON as error:
        raise DataError(
            f"{source}: categories are not in COCO format ({brief(error, 150)}); each needs an id and a name."
        ) from error
    ids = [c.id for c in categories]
    if len(set(ids)) < len(ids):
        raise DataError(f"{source}: two categories have the same id; give each its own id.")
    return categories


def _read_pictures(source: Path, text: msgspec.Raw) -> list[PictureEntry]:
    """Parse and check the pictures. One bad entry is an error: without it, its annotations would be lost."""
    pictures: list[PictureEntry] = []
    for piece in parse_list(memoryview(text)[1:-1], _PICTURES):
        for item in piece:
            pictures.append(_picture(source, item, len(pictures)))
    if len({p.id for p in pictures}) < len(pictures):
        seen: set[int] = set()
        twice = next(p.id for p in pictures if p.id in seen or seen.add(p.id))  # type: ignore[func-returns-value]
        raise DataError(f"{source}: two pictures have the id {twice}; give each its own id.")
    return pictures


def _picture(source: Path, item: PictureEntry | msgspec.Raw, row: int) -> PictureEntry:
    """Parse and check one entry."""
    try:
        entry = item if isinstance(item, PictureEntry) else _PICTURE.decode(item)
        entry.file_name.encode()
    except NOT_JSON as error:
        raise DataError(
            f"{source}: entry {row} of images is not in COCO format ({brief(error, 150)}); it needs "
            "id, file_name, width, height."
        ) from error
    if len(entry.file_name) > _LONGEST_NAME:
        raise DataError(
            f"{source}: picture {entry.id} has a file_name of {len(entry.file_name):,} letters; correct it."
        )
    if not stays_inside(entry.file_name):
        raise DataError(
            f"{source}: picture {entry.id} has a file_name outside the folder of the pictures "
            f"({brief(repr(entry.file_name))}); name a file inside it."
        )
    if entry.width * entry.height > MAX_PIXELS:
        raise DataError(
            f"{source}: picture {entry.id} has {entry.width} x {entry.height} pixels, more than "
            f"{MAX_PIXELS}; correct its size or cut it into tiles."
        )
    return entry


def _numbered(ids: Array) -> Array:
    """Give annotations without a readable id new ones, after the largest."""
    missing = ids == NO_ID
    if not missing.any():
        return ids
    ids = ids.astype(np.int64)
    ids[missing] = max(0, ids.max()) + 1 + np.arange(missing.sum())
    return ids


def _by_picture(row: Array, pictures: int) -> tuple[Array, Array]:
    """Sort annotations by picture, stable.

    Args:
        row: the picture of each annotation.
        pictures: number of pictures N.

    Returns:
        The order, numbers of annotations; and int64 (N + 1,), the offset in it of each picture, and the end.
    """
    order = narrow(np.argsort(row, kind="stable"))
    return order, np.concatenate(([0], np.cumsum(np.bincount(row, minlength=pictures))))


def _scored(ids: Array, use: Array, row: Array, picture_ids: Array) -> dict[str, list[Array]]:
    """Return the order for object scores, if ids repeat: pycocotools keeps the last annotation of an id, for all.

    pycocotools asks for the ids of each picture, in order of picture ids, then looks up the annotation of each id.
    """
    seen = np.flatnonzero(use != UNJUDGED)
    unique, inverse, count = np.unique(ids[seen], return_inverse=True, return_counts=True)
    if len(unique) == len(seen):
        return {}
    last = seen[np.argsort(inverse, kind="stable")[np.cumsum(count) - 1]]
    asked = np.argsort(picture_ids[row[seen]], kind="stable")
    found = last[inverse[asked[use[seen[asked]] != UNKNOWN]]]
    found = found[use[found] != UNKNOWN]
    order, first = _by_picture(row[found], len(picture_ids))
    return {"scored": [narrow(found[order])], "scored_first": [narrow(first)]}


def _offsets(counts: list[Array]) -> Array:
    """Convert counts to offsets: 0, then the cumulative sum."""
    return narrow(np.concatenate(([0], np.cumsum(np.concatenate(counts), dtype=np.int64))))
