"""Where an index is kept: under a key of the content of its annotation file, so that it is built once."""

import hashlib
from pathlib import Path

from rooftop.coco.build import build_index
from rooftop.coco.index import Index
from rooftop.coco.text import map_file
from rooftop.errors import DataError
from rooftop.files import atomic_write

CACHE = Path("outputs/.index")
_FORMAT = b"rooftop index 1"  # to be counted up when the arrays change


def open_index(path: Path, *, cache: Path | None = None) -> Index:
    """Open the annotations of a COCO json; the first time they are parsed, later they are only mapped.

    Args:
        path: the annotation file.
        cache: folder of the index files, `outputs/.index` if none is given.

    Raises:
        DataError: the file cannot be used; the sentence names what is wrong. Annotations that cannot be drawn
            do not raise: see `Index.rejected`.
    """
    cache = CACHE if cache is None else cache
    try:
        target = cache / f"{content_key(path, cache)}.index"
        return _open_or_build(path, target)
    except OSError as error:
        raise DataError(f"{cache}: the index of {path} cannot be kept there ({error}); mend that.") from error


def _open_or_build(path: Path, target: Path) -> Index:
    """Open the index file `target` of the annotation file `path`; build it if it is missing or not whole."""
    try:
        return Index(target, path)
    except (FileNotFoundError, ValueError, KeyError):
        build_index(path, target)
        return Index(target, path)


def content_key(path: Path, cache: Path) -> str:
    """A hash of the content of `path`, kept in `cache` while the file keeps its place, size and times."""
    with map_file(path) as text:
        state = path.stat()
        mark = (str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        note = cache / f"{_hash(repr(mark).encode())}.key"
        if note.is_file():
            return note.read_text()
        key = _hash(text)
    with atomic_write(note) as part:
        part.write_text(key)
    return key


def _hash(content: object) -> str:
    digest = hashlib.blake2b(_FORMAT, digest_size=16)
    digest.update(content)  # type: ignore[arg-type]
    return digest.hexdigest()
