"""The sources of a prediction, named by `source=`: pictures, read whole, and scenes, read by window."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rooftop.errors import SourceError
from rooftop.files import visible
from rooftop.raster.picture import SUFFIXES, list_pictures, matching
from rooftop.raster.scene import is_address, is_scene
from rooftop.raster.slippy import tile_of
from rooftop.raster.tile_service import is_tile_service, service_name

log = logging.getLogger(__name__)
_OTHERS = (".webp", ".bmp", ".gif", ".heic", ".avif", ".img", ".ecw", ".sid")
_ALL = (*SUFFIXES, ".vrt", ".jp2")
_PART = re.compile(r"\w+:(?!//)(.*)")  # DRIVER:FILE:PART, GDAL's name of one of several pictures in a file


@dataclass(frozen=True)
class Source:
    """One picture or scene.

    Attributes:
        path: in GDAL's form.
        stem: name of its output files.
        scene: read by window.
    """

    path: str
    stem: str
    scene: bool


def find_sources(source: str) -> list[Source]:
    """Find pictures and scenes.

    Args:
        source: a file, a folder, a glob, the address of a cloud-optimised GeoTIFF, or DRIVER:FILE:PART in GDAL's form.

    Raises:
        SourceError: nothing there, or two sources with the same output files.
    """
    found = [Source(name, _stem(name), is_scene(name)) for name in map(str, _files(source))]
    by_stem: dict[str, Source] = {}
    for item in found:
        other = by_stem.setdefault(item.stem, item)
        if other != item:
            raise SourceError(
                f"{other.path} and {item.path} would write the same files; rename one, or predict them separately."
            )
    return found


def _files(source: str) -> Sequence[Path | str]:
    path = Path(source)
    if path.is_dir():
        _log_others(path)
        return list_pictures(path, _ALL)
    if path.is_file():
        return [path]
    found = matching(source, _ALL)
    if not found and is_address(source):
        return [source]
    if not found:
        raise SourceError(f"source={source}: no such picture, folder or pattern.")
    return found


def _log_others(folder: Path) -> None:
    """Log how many folders and pictures of unsupported formats in a folder are skipped."""
    found = visible(folder)
    others = [path for path in found if path.suffix.lower() in _OTHERS]
    folders = [path for path in found if path.is_dir()]
    if others or folders:
        log.info(
            "%s: skips %d folders and %d pictures of other formats; a pattern finds files in folders: "
            "'source=%s/**/*.tif'",
            *(folder, len(folders), len(others), folder),
        )


def _stem(name: str) -> str:
    if is_tile_service(name):
        return service_name(name)
    tile = tile_of(Path(name))
    if tile and Path(name).stem[:1].isdigit() and not re.search("[_-]", Path(name).stem):  # one of many folders z/x
        return "_".join(map(str, tile))
    part = _PART.match(name) if is_address(name) else None
    return re.sub(r"\W+", "-", Path(part[1]).name).strip("-") if part else Path(name).stem
