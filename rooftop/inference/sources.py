"""What `source=` names: pictures, read as a whole, and scenes, read by window."""

import glob
from dataclasses import dataclass
from pathlib import Path

from rooftop.errors import SourceError
from rooftop.raster.geotiff import is_scene
from rooftop.raster.picture import SUFFIXES, list_pictures

_ALL = (*SUFFIXES, ".vrt", ".jp2")
_REMOTE = ("://", "/vsi")


@dataclass(frozen=True)
class Source:
    """One picture or scene.

    Attributes:
        path: as GDAL understands it.
        stem: names its output files.
        scene: to be read by window.
    """

    path: str
    stem: str
    scene: bool


def find_sources(source: str) -> list[Source]:
    """Pictures and scenes that `source` names: a file, a folder, a glob, an address of a cloud-optimised GeoTIFF.

    Raises:
        SourceError: nothing there, or two that would write the same files.
    """
    names = [source] if any(mark in source for mark in _REMOTE) else [str(path) for path in _files(source)]
    found = [Source(name, Path(name).stem, _scene(name)) for name in names]
    by_stem: dict[str, Source] = {}
    for item in found:
        other = by_stem.setdefault(item.stem, item)
        if other != item:
            raise SourceError(
                f"{other.path} and {item.path} would write the same files; rename one or predict them apart."
            )
    return found


def _files(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return list_pictures(path, _ALL)
    if path.is_file():
        return [path]
    found = [Path(name) for name in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207 (absolute patterns too)
    found = [name for name in found if name.suffix.lower() in _ALL]
    if not found:
        raise SourceError(f"source={source}: no such picture, folder or pattern.")
    return found


def _scene(name: str) -> bool:
    return any(mark in name for mark in _REMOTE) or is_scene(name)
