"""Atomic writing of rasters of any size, block by block: cloud-optimised GeoTIFF or png; and of tiles.

A tile is a window of a raster as its own GeoTIFF, with the same bands, number type, georeference and nodata.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what a copy raises; there is no public name
from rasterio.errors import RasterioError
from rasterio.shutil import copy as gdal_copy
from rasterio.windows import Window as GdalWindow

from rooftop.errors import RooftopError
from rooftop.files import atomic_write
from rooftop.raster.georeference import Georeference
from rooftop.raster.scene import Scene, check_written, unplaced
from rooftop.raster.windows import Window, tiles

_BLOCK = 512  # pixels, side of the blocks in the file
_FORMATS: dict[str, dict[str, str]] = {
    ".tif": {"driver": "COG", "compress": "deflate", "level": "1", "resampling": "average", "bigtiff": "if_safer"},
    ".png": {"driver": "PNG", "zlevel": "1"},
}


@dataclass(frozen=True)
class Sheet:
    """Properties of the file, apart from its pixels.

    Attributes:
        height: in pixels.
        width: in pixels.
        georeference: None: not georeferenced.
        bands: a name for each band.
        nodata: value of pixels without data; None: all pixels have data.
        scale: true value = stored value x scale.
    """

    height: int
    width: int
    georeference: Georeference | None
    bands: tuple[str, ...]
    nodata: int | None = None
    scale: float = 1.0


def write_raster(path: Path, sheet: Sheet, read: Callable[[Window], NDArray[np.uint8]]) -> None:
    """Write a raster, its blocks as `read` gives them, one after the other; the suffix chooses the format.

    Args:
        path: `.tif` becomes a cloud-optimised GeoTIFF with overviews, `.png` a plain picture.
        sheet: size, georeference, meaning of the values.
        read: gives uint8 (K, h, w) for a window.

    Raises:
        RooftopError: the disk is full or the folder cannot be written to.
    """
    try:
        # one thread: several are no faster on two cores, and what waits for them would grow with the scene
        with unplaced(), rasterio.Env(GDAL_NUM_THREADS="1"), atomic_write(path) as part:
            plain = part.with_suffix(".plain.tif")
            try:
                _write_plain(plain, sheet, read)
                gdal_copy(plain, part, **_FORMATS[path.suffix])
                check_written(part)
            finally:
                plain.unlink(missing_ok=True)
                part.with_name(f"{part.name}.aux.xml").unlink(missing_ok=True)
    except (RasterioError, CPLE_BaseError) as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise RooftopError(f"{path}: cannot be written ({reason}); is there space left on the disk?") from error


def _write_plain(path: Path, sheet: Sheet, read: Callable[[Window], NDArray[np.uint8]]) -> None:
    georeference = sheet.georeference
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=len(sheet.bands),
        height=sheet.height,
        width=sheet.width,
        crs=georeference.crs if georeference else None,
        transform=georeference.affine if georeference else None,
        nodata=sheet.nodata,
        tiled=True,
        blockxsize=_BLOCK,
        blockysize=_BLOCK,
        compress="deflate",
        zlevel=1,
        bigtiff="if_safer",
    ) as dataset:
        for tile in tiles(sheet.height, sheet.width, _BLOCK):
            dataset.write(read(tile), window=GdalWindow(tile.column, tile.row, tile.width, tile.height))
        dataset.scales = [sheet.scale] * len(sheet.bands)
        dataset.descriptions = sheet.bands


def write_tile(
    path: Path, scene: Scene, window: Window, *, values: NDArray[np.generic], known: NDArray[np.bool_]
) -> None:
    """Write a window of a raster as a tile, atomically.

    Args:
        path: of the tile.
        scene: the raster, opened by `open_bands`.
        window: of the raster.
        values: of all bands there, (C, h, w).
        known: pixels with data, bool (h, w); written if the raster has a mask of its own.

    Raises:
        RooftopError: the disk is full or the folder cannot be written to.
    """
    form, georeference = scene.form, scene.georeference
    profile = {
        "count": len(values),
        "height": window.height,
        "width": window.width,
        "dtype": values.dtype,
        "nodata": form.nodata,
        "photometric": "rgb" if form.has_colours else "minisblack",
        "compress": "deflate",
        "predictor": 3 if values.dtype.kind == "f" else 2,
    }
    if len(values) > (3 if form.has_colours else 1):
        profile["alpha"] = "yes" if form.has_alpha else "unspecified"
    if georeference:
        shift = Affine.translation(window.column, window.row)
        profile |= {"crs": georeference.crs, "transform": georeference.affine * shift}
    try:
        with (
            unplaced(),
            atomic_write(path) as part,
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(part, "w", driver="GTiff", **profile) as file,
        ):
            file.write(values)
            if form.has_mask:
                file.write_mask(known)
            file.close()
            check_written(part)
    except RasterioError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise RooftopError(f"{path}: cannot be written ({reason}); free space, or choose another folder.") from error
