"""The forms of an annotation file, as msgspec checks them while it parses (COCO "object detection" format).

https://cocodataset.org/#format-data; fields that nothing here needs are skipped without being built.

An annotation file as text: mapped, never copied, and parsed in pieces that fit the processor's cache.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from rooftop.errors import DataError

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Document(msgspec.Struct):
    """The whole file; its three lists stay unparsed text, so that they can be parsed piece by piece."""

    images: msgspec.Raw
    annotations: msgspec.Raw
    categories: msgspec.Raw


class Category(msgspec.Struct, frozen=True):
    """A kind of object."""

    id: Id
    name: str


class PictureEntry(msgspec.Struct, gc=False):
    """A picture as the file lists it; width and height in pixels."""

    id: Id
    file_name: str
    width: Side
    height: Side


class RunLengths(msgspec.Struct, gc=False):
    """A mask as run lengths, column by column; compressed if `counts` is a str. size: (height, width)."""

    size: tuple[int, int]
    counts: str | list[int]


class Annotation(msgspec.Struct, gc=False):
    """An object as the file lists it; rings are flat [x, y, x, y, ...] in pixels."""

    id: Id
    image_id: Id
    category_id: Id
    segmentation: list[list[float]] | RunLengths | None = None
    area: float | None = None
    iscrowd: int | bool = 0


T = TypeVar("T")

PIECE = 1 << 17  # bytes; larger pieces fall out of the cache and take twice the time
NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeError)
_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put first
_BOUNDARY = re.compile(rb"\}\s*,\s*\{")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_DOCUMENT = msgspec.json.Decoder(Document)
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


def map_file(path: Path) -> mmap.mmap:
    """Map a file for reading.

    Raises:
        DataError: it is missing, empty, or no file.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(f"{path}: no such annotation file; give the path of a COCO json.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); give the path of a COCO json.") from None


def parse_document(path: Path, text: mmap.mmap) -> Document:
    """Check that `text` is JSON with the three lists of COCO; the lists stay views into it.

    Raises:
        DataError: it is not; the sentence names the file and what is wrong.
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
    """Write null for NaN and Infinity, which Python's json writes although JSON has none; strings stay."""
    return _TOKEN.sub(lambda token: token[0] if token[0][:1] == b'"' else b"null", text)


def _reason(error: Exception) -> str:
    """The first line of an error of msgspec, without a closing point, so that it fits into a sentence."""
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split("\n")[0].rstrip(".")


class CutError(Exception):
    """A part of a list ends in the middle of an item."""


def split_list(items: msgspec.Raw, size: int) -> list[memoryview]:
    """Cut the text of a JSON list of objects, without its brackets, into parts of about `size` bytes.

    A cut is made where one object seems to end and another to begin; `parse_list` finds out if it is none.
    """
    body = memoryview(items)[1:-1]
    parts, start = [], 0
    while boundary := _BOUNDARY.search(body, start + size):
        parts.append(body[start : boundary.start() + 1])
        start = boundary.end() - 1
    return [*parts, body[start:]]


def parse_list(body: memoryview, decoder: "msgspec.json.Decoder[list[T]]") -> Iterator[list[T] | list[msgspec.Raw]]:
    """Parse the text of a JSON list of objects, without its brackets, piece by piece.

    A cut is tried where one object seems to end and another to begin. If the text up to there parses as a
    list, the cut was right, since how text is parsed never depends on what follows; if it does not (the cut
    fell into a string or a nested object), the piece is made twice as long.

    Yields:
        the parsed items of a piece, or their texts if one of them does not have the form that `decoder` asks
        for.

    Raises:
        CutError: the end of `body` is not the end of an item.
    """
    start, size = 0, PIECE
    while start < len(body):
        boundary = _BOUNDARY.search(body, min(start + size, len(body)))
        end = boundary.start() + 1 if boundary else len(body)
        parsed = _parse_piece(b"".join((b"[", body[start:end], b"]")), decoder)
        if parsed is not None:
            yield parsed
            start, size = boundary.end() - 1 if boundary else end, PIECE
        elif boundary:
            size *= 2
        else:
            raise CutError


def _parse_piece(piece: bytes, decoder: "msgspec.json.Decoder[list[T]]") -> list[T] | list[msgspec.Raw] | None:
    """Parse one piece; as mere texts where the form is wrong; None if it is no list: the cut was wrong."""
    try:
        return decoder.decode(piece)
    except NOT_JSON:
        try:
            return _TEXTS.decode(piece)
        except NOT_JSON:
            return None
