"""GeoPackages as they are now, while QGIS has them open.

QGIS keeps the latest edits of an open GeoPackage in a second file beside it, the write-ahead log of SQLite (`-wal`);
after a crash they may stay there. GDAL leaves them out where it may not write into the folder.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rooftop.errors import ConfigError, DataError

_BESIDE = ("-wal", "-journal")  # of SQLite, with pages that belong to the file


@contextmanager
def settled(path: Path) -> Iterator[Path]:
    """Yield a vector file to read: a copy with all saved edits if there are files of SQLite beside it, else itself.

    Nothing beside the file is written or removed. Messages name the file, not the copy.
    """
    if not any(_has_content(Path(f"{path}{suffix}")) for suffix in _BESIDE):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        try:
            _copy(path, copy)
            yield copy
        except (ConfigError, DataError) as error:
            raise type(error)(str(error).replace(str(copy), str(path))) from error


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _copy(path: Path, copy: Path) -> None:
    """Copy the file and its log: all three, since reading a log in place may write beside it."""
    try:
        for suffix in ("", *_BESIDE):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        with closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save and close it in QGIS, then try again.") from error
