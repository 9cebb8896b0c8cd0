"""Named arrays in one memory-mapped file: opened in a millisecond, its pages shared by all processes.

Layout: 8 bytes of magic; 8 bytes, the length of the head (little-endian); the head as JSON; then the arrays, each at
a multiple of 64 bytes.
"""

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from rooftop.files import atomic_write

Array: TypeAlias = NDArray[Any]
_MAGIC = b"rooftop1"
_ALIGN = 64  # bytes
_NARROWER = {  # by kind of dtype, smallest first
    "i": (np.int8, np.int16, np.int32),
    "f": (np.int16, np.float32),
}


class _Entry(msgspec.Struct):
    """One array of the file: dtype, shape, and offset in bytes behind the aligned head."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Head(msgspec.Struct):
    arrays: dict[str, _Entry]
    meta: Any


def narrow(array: Array) -> Array:
    """Convert integers or floats to the smallest dtype without loss; other kinds are returned as they are.

    Floats may become int16 or float32; an array with NaN stays a float.
    """
    for dtype in _NARROWER.get(array.dtype.kind, ()):
        with np.errstate(invalid="ignore", over="ignore"):
            smaller = array.astype(dtype)
        if np.array_equal(smaller, array, equal_nan=array.dtype.kind == "f"):
            return smaller
    return array


def write_arena(path: Path, arrays: Mapping[str, Sequence[Array]], meta: Any) -> None:
    """Write arrays and `meta` to one file, atomically.

    Args:
        path: of the file.
        arrays: pieces of each array, to be joined along the first axis; written as their common dtype.
        meta: plain containers, stored as JSON.
    """
    entries, offset = {}, 0
    for name, pieces in arrays.items():
        dtype = np.result_type(*pieces)
        shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
        entries[name] = _Entry(dtype.str, shape, offset)
        offset = _aligned(offset + int(np.prod(shape)) * dtype.itemsize)
    head = msgspec.json.encode(_Head(entries, meta))
    base = _aligned(16 + len(head))
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(_MAGIC + len(head).to_bytes(8, "little") + head)
        for name, pieces in arrays.items():
            file.seek(base + entries[name].offset)
            for piece in pieces:
                piece.astype(entries[name].dtype).tofile(file)
        file.truncate(base + offset)


def open_arena(path: Path) -> tuple[dict[str, Array], Any]:
    """Map a file of `write_arena`; returns its arrays, read-only, and its `meta`.

    Raises:
        ValueError: the file was not written by `write_arena`, or is incomplete.
    """
    with path.open("rb") as file:
        text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(text[8:16], "little")
    if text[:8] != _MAGIC or length > len(text):
        raise ValueError(f"{path} is not a file of arrays")
    try:
        head = msgspec.json.decode(text[16 : 16 + length], type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a file of arrays") from error
    base = _aligned(16 + length)
    return {name: _map(text, entry, base) for name, entry in head.arrays.items()}, head.meta


def _map(text: mmap.mmap, entry: _Entry, base: int) -> Array:
    """View one array inside the mapped file."""
    count = int(np.prod(entry.shape))
    if count == 0:
        return np.empty(entry.shape, entry.dtype)
    return np.frombuffer(text, entry.dtype, count, base + entry.offset).reshape(entry.shape)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN
