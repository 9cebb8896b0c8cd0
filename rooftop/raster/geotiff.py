"""Rasters of any size, read by window, with their place on the map."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as GdalWindow

from rooftop.errors import SourceError
from rooftop.raster.bands import Conversion, Form, Stretch, check_bands, choose_bands, choose_conversion
from rooftop.raster.georeference import Georeference
from rooftop.raster.windows import Window

_WHOLE = 2048 * 2048  # pixels that a network may see in one pass
_CACHE = 64 << 20  # bytes that GDAL may keep of decoded blocks: enough for neighbouring windows of a tiled raster
ONE_CORE, ALL_CORES = "1", "ALL_CPUS"  # in GDAL's words


@dataclass(frozen=True)
class Scene:
    """An open raster.

    Attributes:
        path: as the user named it: a file, a VRT, an https address.
        height: in pixels.
        width: in pixels.
        georeference: None where the file has no coordinate reference system.
        channels: C, of the pictures that are read.
    """

    path: str
    height: int
    width: int
    georeference: Georeference | None
    channels: int
    _dataset: DatasetReader
    _bands: list[int]
    _conversion: Conversion | None

    @property
    def kinds(self) -> set[np.dtype[np.generic]]:
        """Number types of the bands that are read."""
        return {np.dtype(self._dataset.dtypes[band - 1]) for band in self._bands}

    @property
    def form(self) -> Form:
        """How the file marks colours and missing data."""
        return Form.of(self._dataset)

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Picture uint8 (h, w, C), of `open_scene` RGB, black where there is no data; valid bool (h, w).

        Raises:
            SourceError: the file is corrupt there, cut short, or gone.
        """
        return self._converted(*self.values(window))

    def values(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Values as the file has them (C, h, w), and where there is data, bool (h, w); errors as `read`."""
        if not self._striped:
            return self._read(window, (window.height, window.width))
        values, known = self._rows(window.row, window.height)
        columns = window.slices[1]
        return values[..., columns], known[:, columns]

    def preview(self, limit: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The whole scene, thinned out until its longest side is at most `limit` pixels; as `read`."""
        return self._converted(*self.thinned(limit))

    def thinned(self, limit: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """The whole scene, every so manieth pixel, until its longest side is at most `limit`; as `values`."""
        thin = max(1.0, max(self.height, self.width) / limit)
        shape = (max(1, round(self.height / thin)), max(1, round(self.width / thin)))
        return self._read(Window(0, 0, self.width, self.height), shape)

    @cached_property
    def _striped(self) -> bool:
        """Whether the file holds whole rows, so that each window of a row would decode all of them again."""
        return all(width == self.width for _, width in self._dataset.block_shapes)

    @cached_property
    def _rows(self) -> Callable[[int, int], tuple[NDArray[np.generic], NDArray[np.bool_]]]:
        """Whole rows (first, number); the latest are kept for the next window beside."""
        return lru_cache(1)(lambda first, count: self._read(Window(0, first, self.width, count), (count, self.width)))

    def _read(self, window: Window, shape: tuple[int, int]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        area = GdalWindow(window.column, window.row, window.width, window.height)
        try:
            values = self._dataset.read(self._bands, window=area, out_shape=(len(self._bands), *shape))
            known = self._dataset.dataset_mask(window=area, out_shape=shape) > 0
        except RasterioError as error:
            raise SourceError(_unreadable(self.path, error)) from error
        return values, known

    def _converted(
        self, values: NDArray[np.generic], known: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        picture, finite = self._conversion(values) if self._conversion else (values, True)
        valid = known & finite
        seen = np.empty((*valid.shape, self.channels), np.uint8)
        for channel in range(self.channels):  # band by band: a copy across all three takes seven times as long
            seen[..., channel] = picture[channel if len(picture) > 1 else 0]
        if not valid.all():
            seen[~valid] = 0
        return seen, valid


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
            raise SourceError(_unreadable(path, error)) from error
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
    beside = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if "://" in path else {}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_NUM_THREADS=cores, **beside):
        try:
            with unplaced():
                dataset = rasterio.open(path)
        except RasterioError as error:
            raise SourceError(_unreadable(path, error)) from error
        with dataset:
            if not dataset.count:
                raise SourceError(f"{path}: holds no picture of its own; name one of its parts: {dataset.subdatasets}.")
            yield dataset


def _place(dataset: DatasetReader) -> Georeference | None:
    return Georeference(dataset.transform, dataset.crs.to_wkt()) if dataset.crs else None


def _unreadable(path: str, error: Exception) -> str:
    if "://" not in path and not Path(path).exists():
        return f"{path}: no such file."
    reason = str(error.__cause__ or error).splitlines()[0].removeprefix(f"{path}: ").rstrip(".")
    return f"{path}: cannot be read ({reason}); download or copy it again, and check it with gdalinfo."


def is_scene(path: str) -> bool:
    """Whether a file is to be read by window: it is large, georeferenced, of more than 8 bits, or a collection.

    A file that cannot be opened is none; whoever reads it as a picture says what is wrong with it.
    """
    try:
        with unplaced(), rasterio.open(path) as dataset:
            many = dataset.height * dataset.width > _WHOLE
            return many or dataset.crs is not None or dataset.driver == "VRT" or {*dataset.dtypes} != {"uint8"}
    except RasterioError:
        return False
