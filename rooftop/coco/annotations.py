"""The list of annotations to columns: in pieces, and on several processors if it is long."""

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process, get_context
from typing import Any, TypeAlias, cast

import msgspec
import numpy as np

from rooftop.coco.arena import Array, narrow
from rooftop.coco.columns import Columns, Frame, columns
from rooftop.coco.rejected import Tally
from rooftop.coco.schema import Annotation
from rooftop.coco.text import NOT_JSON, CutError, parse_list, split_list

Block: TypeAlias = tuple[Columns, Tally]

BLOCK = 1 << 24  # bytes of text for one task of a process
PROCESSES = 4
_ANNOTATION = msgspec.json.Decoder(Annotation)
_ANNOTATIONS = msgspec.json.Decoder(list[Annotation])


class _Identity(msgspec.Struct):
    """The id of an annotation of which nothing else may be right."""

    id: Any = None


def read_annotations(text: msgspec.Raw, frame: Frame) -> tuple[dict[str, list[Array]], Tally]:
    """Columns of all annotations, in pieces to be joined, and what was left out."""
    blocks = split_list(text, BLOCK)
    try:
        done = list(_read_together(blocks, frame) if _may_fork(len(blocks)) else _read_alone(blocks, frame))
    except CutError:
        # a cut fell into a string or a nested object, so the list is read as one
        done = list(_read_alone([memoryview(text)[1:-1]], frame))
    tally = Tally()
    parts: dict[str, list[Array]] = defaultdict(list)
    for block, found in done:
        tally.merge(found)
        for name, column in block.items():
            parts[name].append(column)
    return dict(parts), tally


def _may_fork(tasks: int) -> bool:
    """Whether other processes can share the mapped text, and are worth starting."""
    return tasks > 1 and sys.platform == "linux" and not current_process().daemon


def _read_alone(blocks: list[memoryview], frame: Frame) -> Iterator[Block]:
    return (_read_block(block, frame) for block in blocks)


def _read_together(blocks: list[memoryview], frame: Frame) -> Iterator[Block]:
    """Read blocks in forked processes, which see the same mapped pages; only the columns are sent back."""
    workers = min(PROCESSES, len(os.sched_getaffinity(0)), len(blocks))
    with ProcessPoolExecutor(workers, get_context("fork"), _share, (blocks, frame)) as pool:
        yield from pool.map(_read_shared, range(len(blocks)))


_shared: tuple[list[memoryview], Frame] = ([], Frame({}, np.empty((0, 2), np.int32), {}))


def _share(blocks: list[memoryview], frame: Frame) -> None:
    """Keep what the process inherited; a fork passes it without a copy."""
    global _shared
    _shared = blocks, frame


def _read_shared(task: int) -> Block:
    return _read_block(_shared[0][task], _shared[1])


def _read_block(text: memoryview, frame: Frame) -> Block:
    """Columns of the annotations in a part of the list, each as narrow as it can be."""
    tally = Tally()
    parts = [columns([], frame, tally)]
    for piece in parse_list(text, _ANNOTATIONS):
        parts.append({name: narrow(c) for name, c in columns(_parsed(piece, tally), frame, tally).items()})
    return {name: narrow(np.concatenate([part[name] for part in parts])) for name in parts[0]}, tally


def _parsed(piece: list[Annotation] | list[msgspec.Raw], tally: Tally) -> list[Annotation]:
    """The annotations of a piece; if it could not be parsed as a whole, those that can be parsed alone."""
    parsed: list[Annotation] = []
    for item in piece:
        if isinstance(item, Annotation):
            return cast("list[Annotation]", piece)
        try:
            parsed.append(_ANNOTATION.decode(item))
        except NOT_JSON as error:
            tally.add(_identity(item), _malformed(error))
    return parsed


def _identity(item: msgspec.Raw) -> int | None:
    """The id of an annotation that could not be parsed, if it has one."""
    try:
        identity = msgspec.json.decode(item, type=_Identity).id
    except NOT_JSON:
        return None
    return identity if isinstance(identity, int) else None


def _malformed(error: Exception) -> str:
    """Why an annotation could not be parsed, in few words, so that equal reasons are counted together."""
    field = re.search(r"\$\.(\w+)|missing required field `(\w+)`", str(error))
    if field is None:
        return "not as in COCO"
    if field[2]:
        return f"without `{field[2]}`"
    return f"with a `{field[1]}` that is not as in COCO"
