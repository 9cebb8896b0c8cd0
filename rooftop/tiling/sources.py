"""Rasters that a person names."""

from pathlib import Path

from rooftop.errors import SourceError
from rooftop.raster.picture import matching

SUFFIXES = (".tif", ".tiff", ".vrt")


def find_rasters(source: str) -> list[Path]:
    """The rasters that `source` names: a file, a folder of GeoTIFFs, or a glob; sorted.

    Raises:
        SourceError: there is none.
    """
    path = Path(source)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    else:
        found = [path] if path.is_file() else matching(source, SUFFIXES)
    if not found:
        raise SourceError(f"source={source}: no such raster, folder of {', '.join(SUFFIXES)}, or pattern.")
    return sorted(found)
