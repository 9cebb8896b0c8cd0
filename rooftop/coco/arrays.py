"""Named arrays in one file that is mapped, not read: opening takes a millisecond, processes share the pages.

Layout: 8 bytes of magic, 8 bytes with the length of the head, the head as JSON, then the arrays one after
another, each at a multiple of 64 bytes.
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
_ALIGN = 64
_NARROWER = {
    "i": (np.int8, np.int16, np.int32),
    "f": (np.int16, np.float32),
}


class _Place(msgspec.Struct):
    """Where an array lies: type, shape, and offset in bytes behind the head."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Head(msgspec.Struct):
    arrays: dict[str, _Place]
    meta: Any


def narrow(array: Array) -> Array:
    """Store integers or floats in the smallest type that holds each of them exactly; NaN needs a float."""
    for dtype in _NARROWER.get(array.dtype.kind, ()):
        with np.errstate(invalid="ignore", over="ignore"):
            smaller = array.astype(dtype)
        if np.array_equal(smaller, array, equal_nan=array.dtype.kind == "f"):
            return smaller
    return array


def write_arena(path: Path, arrays: Mapping[str, Sequence[Array]], meta: Any) -> None:
    """Write arrays, each in pieces to be joined along the first axis, and `meta` (plain containers)."""
    places, offset = {}, 0
    for name, pieces in arrays.items():
        dtype = np.result_type(*pieces)
        shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
        places[name] = _Place(dtype.str, shape, offset)
        offset = _aligned(offset + int(np.prod(shape)) * dtype.itemsize)
    head = msgspec.json.encode(_Head(places, meta))
    base = _aligned(16 + len(head))
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(_MAGIC + len(head).to_bytes(8, "little") + head)
        for name, pieces in arrays.items():
            file.seek(base + places[name].offset)
            for piece in pieces:
                piece.astype(places[name].dtype).tofile(file)
        file.truncate(base + offset)


def open_arena(path: Path) -> tuple[dict[str, Array], Any]:
    """Map the arrays, read-only, and read what was stored beside them.

    Raises:
        ValueError: the file was not written by `write_arena`, or is not whole.
    """
    with path.open("rb") as file:
        text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(text[8:16], "little")
    if text[:8] != _MAGIC or length > len(text):
        raise ValueError(f"{path} is no arena")
    try:
        head = msgspec.json.decode(text[16 : 16 + length], type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no arena") from error
    base = _aligned(16 + length)
    return {name: _map(text, place, base) for name, place in head.arrays.items()}, head.meta


def _map(text: mmap.mmap, place: _Place, base: int) -> Array:
    """View one array inside the mapped file."""
    count = int(np.prod(place.shape))
    if count == 0:
        return np.empty(place.shape, place.dtype)
    return np.frombuffer(text, place.dtype, count, base + place.offset).reshape(place.shape)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN
