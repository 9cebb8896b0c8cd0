"""Rasters of any size, opened to be read by window, with their place on the map."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as GdalWindow

from rooftop.errors import SourceError
from rooftop.raster.bands import Form, Stretch, check_bands, choose_bands, choose_conversion
from rooftop.raster.georeference import Georeference
from rooftop.raster.picture import can_open
from rooftop.raster.scene import Scene, is_address, unreadable
from rooftop.raster.windows import WHOLE

_CACHE = 64 << 20  # bytes that GDAL may keep of decoded blocks: enough for neighbouring windows of a tiled raster
ONE_CORE, ALL_CORES = "1", "ALL_CPUS"  # in GDAL's words


@contextmanager
def unplaced() -> Iterator[None]:
    """A raster without a place on the map is no reason for a warning: everything works, in pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def open_scene(path: str, *, bands: Sequence[int] | None = None, cores: str = ONE_CORE) -> Iterator[Scene]:
    """Open a raster to look at it as a picture in RGB, by window; memory does not grow with its size.

    Args:
        path: anything that GDAL reads: GeoTIFF, VRT, png, jpg, `https://...` (a cloud-optimised GeoTIFF).
        bands: numbers (from 1) of one or three bands; None = red, green and blue as the file marks them.
        cores: ONE_CORE, or ALL_CORES to unpack blocks side by side: only where no process that is forked off later
            reads rasters so, too, since it would wait for threads that it has not inherited.

    Raises:
        SourceError: missing, corrupt, or of a kind that is no picture; the sentence says what to do.
    """
    with _opened(path, cores) as dataset:
        chosen = choose_bands(dataset, bands, path)
        try:
            conversion = choose_conversion(dataset, chosen, path)
        except RasterioError as error:
            raise SourceError(unreadable(path, error)) from error
        yield Scene(path, dataset.height, dataset.width, _place(dataset), 3, dataset, chosen, conversion)


@contextmanager
def open_bands(
    path: str, bands: Sequence[int] | None = None, stretch: Stretch | None = None, *, cores: str = ONE_CORE
) -> Iterator[Scene]:
    """Open a raster to read just these bands, by window.

    Args:
        path: as for `open_scene`.
        bands: numbers (from 1) of any number of bands; None = all.
        stretch: how their values become 0-255; None: values are read as they are.
        cores: as for `open_scene`.

    Raises:
        SourceError: missing, corrupt, or without one of the bands.
    """
    with _opened(path, cores) as dataset:
        chosen = check_bands(dataset, bands, path)
        yield Scene(path, dataset.height, dataset.width, _place(dataset), len(chosen), dataset, chosen, stretch)


@contextmanager
def _opened(path: str, cores: str) -> Iterator[DatasetReader]:
    # a server is not asked for files beside the picture; a folder is: .tfw, .msk and .ovr count
    beside = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if is_address(path) and "://" in path else {}
    # whole png files at once would be faster, but where one is cut short GDAL keeps it to itself
    careful = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_NUM_THREADS=cores, **careful, **beside):
        try:
            with unplaced():
                dataset = rasterio.open(path)
        except RasterioError as error:
            raise SourceError(unreadable(path, error)) from error
        with dataset:
            if not dataset.count:
                raise SourceError(f"{path}: holds no picture of its own; name one of its parts: {dataset.subdatasets}.")
            yield dataset


def _place(dataset: DatasetReader) -> Georeference | None:
    # a reference system without corners would put pixel 5 at 5 degrees, or metres, of the origin
    placed = dataset.crs and not dataset.transform.is_identity
    return Georeference(dataset.transform, dataset.crs.to_wkt()) if placed else None


def check_written(path: Path) -> None:
    """Read the last pixel of a file back: GDAL may report a full disk only when it closes one, to nobody.

    Raises:
        RasterioError: it is not whole.
    """
    with rasterio.open(path) as dataset:
        dataset.read(window=GdalWindow(dataset.width - 1, dataset.height - 1, 1, 1))


def files_of(path: str) -> list[Path]:
    """The files here from which a raster is read, in order, those beneath a VRT too; none for an address."""
    found, left = set[str](), [] if "://" in path else [path]
    while left:
        try:
            with unplaced(), rasterio.open(left.pop()) as dataset:
                new = {*dataset.files} - found
        except RasterioError:  # told where it is read
            continue
        found |= new
        left += [name for name in new if name.lower().endswith(".vrt")]
    return sorted(Path(name) for name in found if Path(name).exists())


def is_scene(path: str) -> bool:
    """Whether a file is to be read by window: it is large, georeferenced, a collection, or no 8-bit grey or colours.

    So is a TIFF that says where it has no data, or is of a kind that only GDAL knows.

    A file that cannot be opened is none; whoever reads it as a picture says what is wrong with it. What is no file here
    but an address is one, and not opened yet.
    """
    if is_address(path):
        return True
    try:
        with unplaced(), rasterio.open(path) as dataset:
            if not dataset.count or dataset.crs or dataset.driver == "VRT" or dataset.height * dataset.width > WHOLE:
                return True
            form = Form.of(dataset)
            if dataset.driver == "GTiff" and (form.nodata is not None or form.has_mask or not can_open(Path(path))):
                return True
            return not form.is_rgb and dataset.colorinterp[0] != ColorInterp.cyan
    except RasterioError:
        return False
