"""Parse annotation files in the COCO "object detection" format (https://cocodataset.org/#format-data).

The file is memory-mapped, never copied, and parsed in pieces of the size of the processor's cache. msgspec checks the
types while it parses, and skips unused fields without building them.
"""

import json
import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from rooftop.errors import DataError, brief
from rooftop.files import require_file

T = TypeVar("T")
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # pixels

PIECE = 1 << 17  # bytes; larger pieces fall out of the cache and take twice the time
LONGEST = 1 << 27  # bytes of the text of one entry
NO_ID = -(2**63)  # stands for an id that cannot be read
NO_RING = "with a ring that is no list of numbers, left out"
_NO_BOX = msgspec.Raw(b"null")
NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeError)
_MARK = b"\xef\xbb\xbf"  # byte order mark; some editors write it first
_BOUNDARY = re.compile(rb"\}\s*,\s*\{")  # between two objects of a list
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)  # a string, or NaN or Infinity


class Document(msgspec.Struct):
    """The whole file; its three lists stay unparsed text, to be parsed piece by piece."""

    images: msgspec.Raw
    annotations: msgspec.Raw
    categories: msgspec.Raw


class Category(msgspec.Struct, frozen=True):
    """A class of objects, e.g. building."""

    id: Id
    name: str


class PictureEntry(msgspec.Struct, gc=False):
    """One entry of `images`; width and height in pixels."""

    id: Id
    file_name: str
    width: Side
    height: Side


class RunLengths(msgspec.Struct, gc=False):
    """A mask as run lengths (RLE), column by column.

    Attributes:
        size: (height, width) in pixels.
        counts: lengths of the runs of 0 and 1 in turn, beginning with 0; a str if compressed.
    """

    size: tuple[int, int]
    counts: str | list[float]


class Annotation(msgspec.Struct, gc=False):
    """One entry of `annotations`; rings are flat [x, y, x, y, ...] in pixels.

    `iscrowd` of null is 0. The box stays unparsed, since few are needed.
    """

    id: Id
    image_id: Id
    category_id: Id
    segmentation: list[list[float]] | RunLengths | None = None
    area: float | None = None
    iscrowd: int | bool | float | None = 0
    bbox: msgspec.Raw = _NO_BOX


_DOCUMENT = msgspec.json.Decoder(Document)
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


def map_file(path: Path) -> mmap.mmap:
    """Map a file for reading.

    Raises:
        DataError: it is missing, empty, or not a file.
    """
    require_file(path, DataError)
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); give the path of a COCO json.") from None


def parse_document(path: Path, text: mmap.mmap) -> Document:
    """Split the JSON `text` of a COCO file into its three lists, views into `text`.

    Raises:
        DataError: `text` is not JSON, or a list is missing.
    """
    view = memoryview(text)[len(_MARK) if text[: len(_MARK)] == _MARK else 0 :]
    try:
        return _decode_document(view)
    except NOT_JSON as first:
        error: Exception = first
    if text.find(b"NaN") >= 0 or text.find(b"Infinity") >= 0:
        try:
            return _decode_document(_without_nan(view))
        except NOT_JSON as second:
            error = second
    raise DataError(f"{path}: not a COCO annotation file ({_reason(error)}); write or download it again.")


def _decode_document(text: Any) -> Document:
    """Parse the outermost object; `text` is bytes or a view."""
    document = _DOCUMENT.decode(text)
    for name in document.__struct_fields__:
        if bytes(memoryview(getattr(document, name))[:1]) != b"[":
            raise msgspec.ValidationError(f"`{name}` is not a list")
    return document


def _without_nan(text: Any) -> bytes:
    """Replace NaN and Infinity by null, except in strings; Python's json writes them, JSON forbids them."""
    return _TOKEN.sub(lambda token: token[0] if token[0][:1] == b'"' else b"null", text)


def _reason(error: Exception) -> str:
    """The first line of a msgspec error without the final point, to fit into a sentence."""
    return (
        "nested too deeply" if isinstance(error, RecursionError) else brief(str(error).split("\n")[0].rstrip("."), 150)
    )


class CutError(Exception):
    """A list was cut in the middle of an item."""


class LongEntryError(Exception):
    """An item of a list is longer than `LONGEST`; parsing it would take several times its length in memory."""


def split_list(items: msgspec.Raw, size: int) -> list[memoryview]:
    """Cut the text of a JSON list of objects, without its brackets, into parts of about `size` bytes.

    Cuts are made at `}, {`. This text may also lie inside a string or a nested list; `parse_list` then raises
    `CutError`.
    """
    body = memoryview(items)[1:-1]
    parts, start = [], 0
    while boundary := _BOUNDARY.search(body, start + size):
        parts.append(body[start : boundary.start() + 1])
        start = boundary.end() - 1
    return [*parts, body[start:]]


def parse_list(body: memoryview, decoder: "msgspec.json.Decoder[list[T]]") -> Iterator[list[T] | list[msgspec.Raw]]:
    """Parse the text of a JSON list of objects, without its brackets, piece by piece.

    A cut is tried at `}, {`. If the text before it parses as a list, the cut was right: the meaning of JSON text never
    depends on later text. If it does not parse (the cut fell into a string or a nested object), the piece is made
    twice as long.

    Yields:
        The parsed items of a piece, or their unparsed texts if `decoder` rejects one of them.

    Raises:
        CutError: `body` ends in the middle of an item.
        LongEntryError: an item is longer than `LONGEST`.
    """
    start, size = 0, PIECE
    while start < len(body):
        boundary = _BOUNDARY.search(body, min(start + size, len(body)))
        end = boundary.start() + 1 if boundary else len(body)
        if end - start > LONGEST:
            raise LongEntryError
        parsed = _parse_piece(b"".join((b"[", body[start:end], b"]")), decoder)
        if parsed is not None:
            yield parsed
            start, size = boundary.end() - 1 if boundary else end, PIECE
        elif boundary:
            size *= 2
        else:
            raise CutError


def _parse_piece(piece: bytes, decoder: "msgspec.json.Decoder[list[T]]") -> list[T] | list[msgspec.Raw] | None:
    """Parse one piece; unparsed texts if `decoder` rejects an item; None if the cut was wrong."""
    try:
        return decoder.decode(piece)
    except NOT_JSON:
        try:
            return _TEXTS.decode(piece)
        except NOT_JSON:
            return None


def read_loosely(item: msgspec.Raw) -> tuple[Annotation, list[str], str]:
    """Read an annotation that is not as in COCO, field by field and ring by ring.

    Returns:
        The annotation; the parts that cannot be used, as reasons; why none of it can be used, or "".

    Raises:
        ValueError: it is no annotation of a picture; the text is the reason.
    """
    try:
        fields = json.loads(bytes(item))
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("not as in COCO")
    image_id, category_id = (_required(fields, name) for name in ("image_id", "category_id"))
    damaged: list[str] = []
    identity, area, crowd = _whole(fields.get("id")), fields.get("area"), fields.get("iscrowd", 0)
    if identity is None:
        damaged.append(f"{_unlike(fields, 'id')}, numbered anew")
    if area is not None and _number(area) is None:
        damaged.append(f"{_unlike(fields, 'area')}, left out")
    segmentation, lost = _loose_outline(fields.get("segmentation"), damaged)
    if crowd is not None and _number(crowd) is None:
        lost = _unlike(fields, "iscrowd")
    annotation = Annotation(
        NO_ID if identity is None else identity,
        image_id,
        category_id,
        segmentation,
        _number(area),
        _number(crowd),
        msgspec.Raw(msgspec.json.encode(fields.get("bbox"))),
    )
    return annotation, damaged, lost


def _required(fields: dict[str, Any], name: str) -> int:
    number = _whole(fields.get(name))
    if number is None:
        raise ValueError(_unlike(fields, name))
    return number


def _unlike(fields: dict[str, Any], name: str) -> str:
    return f"with a `{name}` that is not as in COCO" if name in fields else f"without `{name}`"


def _number(value: Any) -> float | None:
    """A finite number, also one in quotes, as numpy reads it; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    """A whole number of 64 bits, also one with decimals of 0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and -(2**63) < value < 2**63 else None


def _loose_outline(value: Any, damaged: list[str]) -> tuple[list[list[float]] | RunLengths | None, str]:
    """Read a segmentation; returns the outline and why there is none, or ""."""
    if isinstance(value, dict):
        size, counts = (value.get(name) for name in ("size", "counts"))
        sides = [_whole(side) for side in size] if isinstance(size, list) else []
        numbers = _ring(counts)
        if len(sides) == 2 and None not in sides and (isinstance(counts, str) or numbers is not None):
            return RunLengths((sides[0] or 0, sides[1] or 0), counts if isinstance(counts, str) else numbers or []), ""
    elif isinstance(value, list):
        rings = [ring for each in value if (ring := _ring(each)) is not None]
        if rings and len(rings) < len(value):
            damaged.append(NO_RING)
        if rings or not value:
            return rings, ""
    return None, "" if value is None else "with a `segmentation` that is not as in COCO"


def _ring(value: Any) -> list[float] | None:
    """A list of finite numbers; None for anything else."""
    if not isinstance(value, list):
        return None
    numbers = [number for each in value if (number := _number(each)) is not None]
    return numbers if len(numbers) == len(value) else None
