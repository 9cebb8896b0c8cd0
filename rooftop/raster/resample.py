"""A raster at another ground sampling distance, resampled while it is read, so that memory does not grow with it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio.shutil
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from rooftop.errors import SourceError
from rooftop.raster.geotiff import open_bands


@contextmanager
def resampled(path: str, gsd: float | None) -> Iterator[str]:
    """Yield a path that can be opened at `gsd` metres per pixel; the path itself where `gsd` is None.

    The reference system stays. Finer rasters are averaged, coarser ones interpolated (cubic).

    Raises:
        SourceError: the raster cannot be read, or has no place on the map from which its resolution were known.
    """
    if gsd is None:
        yield path
        return
    with open_bands(path) as scene:
        if scene.georeference is None or scene.gsd is None:
            raise SourceError(f"{path}: has no reference system, so gsd={gsd} means nothing; leave gsd out.")
        affine, crs = scene.georeference.affine, scene.georeference.crs
        scale = gsd / scene.gsd
        height, width = max(1, round(scene.height / scale)), max(1, round(scene.width / scale))
    grid = affine * Affine.scale(scale)
    method = Resampling.average if scale > 1 else Resampling.cubic
    with tempfile.TemporaryDirectory() as folder, rasterio.open(path) as source:
        target = Path(folder, f"{Path(path).stem}.vrt")
        with WarpedVRT(source, crs=crs, transform=grid, width=width, height=height, resampling=method) as warped:
            rasterio.shutil.copy(warped, target, driver="VRT")
        yield str(target)
