"""GeoJSON feature collections as a stream, at constant memory.

GDAL would read such a file from the start for each page.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import DataError

_CHUNK = 1 << 20  # characters read at a time
_WORLD = "OGC:CRS84"  # longitude and latitude on WGS 84, which RFC 7946 prescribes
_BLANKS = re.compile(r"\s*")
_DECODER = json.JSONDecoder(parse_int=float)  # Python refuses integers of thousands of digits


def is_collection(path: Path) -> bool:
    """Report whether a file is a GeoJSON feature collection, with its type before its features."""
    if path.suffix.lower() not in (".geojson", ".json") or path.is_dir():
        return False
    try:
        for key, value, _ in _members(path):
            if key in ("type", "feature"):
                return key == "type" and bool(value == "FeatureCollection")
    except DataError:
        pass  # whoever reads other files says what is wrong with it
    return False


def collection_crs(path: Path) -> str:
    """Return the name of the reference system: the old "crs" member at any position, else longitude and latitude."""
    says = mentions(path, b'"crs"')
    for key, value, _ in _members(path):
        if key == "crs" and value:
            return str(value["properties"]["name"])
        if key == "feature" and not says:
            break
    return _WORLD


def read_collection(path: Path, page: int) -> Iterator[NDArray[np.object_]]:
    """Features as texts, `page` at a time; None for one without geometry.

    Raises:
        DataError: the file ends in the middle, or is no JSON.
    """
    texts: list[str | None] = []
    for key, value, text in _members(path):
        if key == "feature":
            texts.append(text if isinstance(value, dict) and value.get("geometry") else None)
        if len(texts) == page:
            yield np.array(texts, object)
            texts = []
    yield np.array(texts, object)


def decode(text: str) -> Any:
    """Return the value of a text of `read_collection`."""
    return _DECODER.decode(text)


def _members(path: Path) -> Iterator[tuple[str, Any, str]]:
    """Members of the file's one object: name, value, text; those of "features" one by one, as "feature"."""
    with path.open(encoding="utf-8-sig") as file:
        text = _Text(path, file.read)
        text.expect("{")
        while text.peek() != "}":
            key, _ = text.value()
            text.expect(":")
            if key == "features" and text.peek() == "[":
                text.expect("[")
                while text.peek() != "]":
                    yield "feature", *text.value()
                    text.end("]")
                text.expect("]")
            else:
                yield str(key), *text.value()
            text.end("}")


class _Text:
    """A window of a text, read from the front."""

    def __init__(self, path: Path, read: Any) -> None:
        self._path, self._read = path, read
        self._text, self._at = "", 0

    def peek(self) -> str:
        """Return the next character, blanks skipped."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            self._more()

    def expect(self, character: str) -> None:
        """Skip a required character."""
        if self.peek() != character:
            raise DataError(f"{self._path}: not valid GeoJSON ({character} is missing); export it again.")
        self._at += 1

    def end(self, bracket: str) -> None:
        """Skip a required comma, or report the end of a list or object."""
        if self.peek() != bracket:
            self.expect(",")

    def value(self) -> tuple[Any, str]:
        """The next value, and its text."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError):
                end = len(self._text)
            if end < len(self._text):  # a number might go on behind what was read so far
                text = self._text[self._at : end]
                self._at = end
                return value, text
            self._more()

    def _more(self) -> None:
        try:  # as much again, so that a huge value is not read over and over
            more = self._read(max(_CHUNK, len(self._text) - self._at))
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: not UTF-8 ({error.reason}); export it again.") from error
        if not more:
            raise DataError(f"{self._path}: not valid GeoJSON (it ends too early); export it again.")
        self._text, self._at = self._text[self._at :] + more, 0


def mentions(path: Path, word: bytes) -> bool:
    """Report whether a file contains a word anywhere."""
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if word in last + chunk:
                return True
            last = chunk[-len(word) :]
    return False
