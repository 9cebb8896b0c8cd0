"""Annotation file to index file, in one pass whose memory does not grow with the text."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from rooftop.coco.annotations import read_annotations
from rooftop.coco.arena import Array, narrow, write_arena
from rooftop.coco.columns import Frame
from rooftop.coco.names import pack_names, stays_inside
from rooftop.coco.schema import Category, PictureEntry
from rooftop.coco.text import NOT_JSON, map_file, parse_document, parse_list
from rooftop.errors import DataError
from rooftop.raster.picture import MAX_PIXELS

_PICTURE = msgspec.json.Decoder(PictureEntry)
_PICTURES = msgspec.json.Decoder(list[PictureEntry])
_CATEGORIES = msgspec.json.Decoder(list[Category])


def build_index(source: Path, target: Path) -> None:
    """Read the annotation file `source` and write the arrays of its index to `target`, whole or not at all.

    Raises:
        DataError: it is no COCO annotation file, or a picture or category in it cannot be used.
    """
    document = parse_document(source, map_file(source))
    with _without_cycle_search():
        categories = _read_categories(source, document.categories)
        pictures = _read_pictures(source, document.images)
        sizes = np.array([(p.height, p.width) for p in pictures], np.int32).reshape(-1, 2)
        rows = {p.id: row for row, p in enumerate(pictures)}
        frame = Frame(rows, sizes, {c.id: kind for kind, c in enumerate(categories)})
        parts, tally = read_annotations(document.annotations, frame)
    names, name_first = pack_names([p.file_name for p in pictures])
    order, first = _by_picture(parts.pop("row"), len(pictures))
    arrays = parts | {
        "ids": [np.array([p.id for p in pictures], np.int64)],
        "sizes": [sizes],
        "names": [names],
        "name_first": [narrow(name_first)],
        "order": [order],
        "first": [narrow(first)],
    }
    for count, offsets in {"rings": "ring_first", "points": "point_first", "run": "run_first"}.items():
        arrays[offsets] = [_offsets(arrays.pop(count))]
    meta = {"categories": categories, "counts": tally.counts, "listed": tally.listed}
    write_arena(target, arrays, meta)


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Switch off Python's search for reference cycles: parsed lists have none, and it doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_categories(source: Path, text: msgspec.Raw) -> list[Category]:
    """Parse the categories; two of one id are refused."""
    try:
        categories = _CATEGORIES.decode(text)
    except NOT_JSON as error:
        raise DataError(f"{source}: categories are not as in COCO ({error}); each needs an id and a name.") from error
    ids = [c.id for c in categories]
    if len(set(ids)) < len(ids):
        raise DataError(f"{source}: two categories have the same id; give each its own.")
    return categories


def _read_pictures(source: Path, text: msgspec.Raw) -> list[PictureEntry]:
    """Parse and check the pictures; one bad entry ends it, since it would take its annotations with it."""
    pictures: list[PictureEntry] = []
    for piece in parse_list(memoryview(text)[1:-1], _PICTURES):
        for item in piece:
            pictures.append(_picture(source, item, len(pictures)))
    if len({p.id for p in pictures}) < len(pictures):
        seen: set[int] = set()
        twice = next(p.id for p in pictures if p.id in seen or seen.add(p.id))  # type: ignore[func-returns-value]
        raise DataError(f"{source}: two pictures have the id {twice}; give each its own.")
    return pictures


def _picture(source: Path, item: PictureEntry | msgspec.Raw, row: int) -> PictureEntry:
    """One entry, parsed and checked."""
    try:
        entry = item if isinstance(item, PictureEntry) else _PICTURE.decode(item)
        entry.file_name.encode()
    except NOT_JSON as error:
        raise DataError(
            f"{source}: entry {row} of images is not as in COCO ({error}); it needs id, file_name, width, height."
        ) from error
    if not stays_inside(entry.file_name):
        raise DataError(
            f"{source}: picture {entry.id} has the file_name {entry.file_name!r}, which leads "
            "out of its folder; name a file inside it."
        )
    if entry.width * entry.height > MAX_PIXELS:
        raise DataError(
            f"{source}: picture {entry.id} is said to have {entry.width} x {entry.height} pixels, more than "
            f"{MAX_PIXELS}; correct its size or cut it into tiles."
        )
    return entry


def _by_picture(rows: list[Array], pictures: int) -> tuple[Array, Array]:
    """Sort annotations by picture: their order, and the place of the first of each picture (and the end)."""
    row = np.concatenate(rows)
    order = narrow(np.argsort(row, kind="stable"))
    return order, np.concatenate(([0], np.cumsum(np.bincount(row, minlength=pictures))))


def _offsets(counts: list[Array]) -> Array:
    """The first place of each, and the end, from how many each has."""
    return narrow(np.concatenate(([0], np.cumsum(np.concatenate(counts), dtype=np.int64))))
