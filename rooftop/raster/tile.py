"""A window of a raster as a GeoTIFF of its own, which keeps bands, number type, place and what has no data."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from rooftop.errors import RooftopError
from rooftop.files import atomic_write
from rooftop.raster.geotiff import check_written, unplaced
from rooftop.raster.scene import Scene
from rooftop.raster.windows import Window


def write_tile(
    path: Path, scene: Scene, window: Window, *, values: NDArray[np.generic], known: NDArray[np.bool_]
) -> None:
    """Write a window of a raster, whole or not at all.

    Args:
        path: of the tile.
        scene: the raster, opened by `open_bands`.
        window: of the raster.
        values: of all bands there, (C, h, w).
        known: where there is data, bool (h, w); written where the raster has a mask of its own.

    Raises:
        RooftopError: the disk is full or the folder cannot be written to.
    """
    form, place = scene.form, scene.georeference
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
    if place:
        profile |= {"crs": place.crs, "transform": place.affine * Affine.translation(window.column, window.row)}
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
