"""Rasters of any size, read by window, with their georeference."""

import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as GdalWindow

from rooftop.errors import SourceError
from rooftop.files import require_file
from rooftop.raster.bands import (
    Conversion,
    Form,
    Stretch,
    check_bands,
    choose_bands,
    choose_conversion,
    highest_value,
    is_min_white,
    item_size,
)
from rooftop.raster.georeference import Georeference
from rooftop.raster.placement import Placement, find_placement, is_placed
from rooftop.raster.tile_service import BETWEEN, DRIVERS, PAUSES, is_tile_service, service
from rooftop.raster.windows import WHOLE, Window

_ADDRESS = re.compile(r"/vsi|\w[\w+.-]*://|\w{2,}:")  # GDAL's own file systems, a scheme, DRIVER:FILE:PART


@dataclass(frozen=True)
class Scene:
    """An open raster.

    Attributes:
        path: as the user named it: a file, a VRT, an https address.
        height: in pixels.
        width: in pixels.
        placement: position on the map, as far as it is known.
        channels: C, bands of the pictures.
    """

    path: str
    height: int
    width: int
    placement: Placement
    channels: int
    _dataset: DatasetReader
    _bands: list[int]
    _conversion: Conversion | None
    _corner: tuple[int, int] = (0, 0)  # column, row of the first pixel, of a part
    _wanted: Callable[[Window], NDArray[np.bool_]] | None = None

    def part(self, window: Window, wanted: Callable[[Window], NDArray[np.bool_]]) -> "Scene":
        """A part of the raster as a scene of its own.

        Args:
            window: of the part, in pixels of this scene.
            wanted: selects the pixels with data in a window of the part, bool (h, w); where there are none, nothing is
                read.
        """
        column, row = window.column, window.row
        placed = self.georeference and self.georeference.moved(column, row)
        placement = replace(self.placement, georeference=placed)
        corner = self._corner[0] + column, self._corner[1] + row
        return replace(
            self, height=window.height, width=window.width, placement=placement, _corner=corner, _wanted=wanted
        )

    @property
    def georeference(self) -> Georeference | None:
        """None without a coordinate reference system or corner coordinates."""
        return self.placement.georeference

    @cached_property
    def gsd(self) -> float | None:
        """Metres per pixel in the middle; without a reference system as its corners tell; None: unknown.

        Raises:
            SourceError: its reference system or its corners are not on the earth.
        """
        if self.georeference is None:
            return self.placement.gsd
        try:
            return self.georeference.metres_per_pixel(self.height, self.width)
        except ValueError as error:
            raise SourceError(
                f"{self.path}: its place on the map has no longitude and latitude; give it the right one by "
                "crs=EPSG:CODE, or gdal_edit.py -a_srs EPSG:CODE FILE, or none (-a_srs None) and find roofs in pixels."
            ) from error

    @property
    def bands(self) -> list[int]:
        """1-based numbers of the bands that are read."""
        return self._bands

    @property
    def is_service(self) -> bool:
        """Whether a server gives the pixels, as many as are asked for."""
        return self._dataset.driver in DRIVERS

    @cached_property
    def kinds(self) -> set[np.dtype[np.generic]]:
        """Number types of the read bands."""
        return {np.dtype(self._dataset.dtypes[band - 1]) for band in self._bands}

    @property
    def form(self) -> Form:
        """How the file marks colours and missing data."""
        with _readable(self.path):
            return Form.of(self._dataset)

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read a window: picture uint8 (h, w, C), RGB after `open_scene`, black without data; valid bool (h, w).

        With a nodata value, a pixel has data if one of the read bands has.

        Raises:
            SourceError: the file is corrupt there, cut short, or gone.
        """
        wanted = None if self._wanted is None else self._wanted(window)
        if wanted is not None and not wanted.any():
            return np.zeros((*wanted.shape, self.channels), np.uint8), wanted
        picture, valid = self._converted(*self.values(window))
        return picture, valid if wanted is None else valid & wanted

    def values(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a window: raw values (C, h, w), and valid bool (h, w); raises as `read`."""
        if not self._striped:
            return self._read(window, (window.height, window.width))
        values, known = self._rows(window.row, window.height)
        first = self._corner[0] + window.column
        columns = slice(first, first + window.width)
        return values[..., columns], known[:, columns]

    def labels(self) -> NDArray[np.generic]:
        """Read the whole raster as a picture of classes: numbers (H, W), or colours uint8 (H, W, 3).

        A palette of greys counts by its greys, any other by its indices. Numbers of less than 8 bits keep their value,
        but for the highest one: it becomes 255. Nodata does not count.

        Raises:
            SourceError: several bands other than colours, transparent pixels, or unreadable.
        """
        form, whole = self.form, Window(0, 0, self.width, self.height)
        if form.has_alpha and not self.read(whole)[1].all():
            raise SourceError(
                f"{self.path}: has transparent pixels, and a mask may not; take the transparency itself, e.g. "
                f"gdal_translate -b {self._dataset.count} FILE MASK.tif, or leave it out."
            )
        values, _ = self.values(whole)
        if form.has_palette:
            colours, _ = self.read(whole)
            is_grey = (colours == colours[..., :1]).all()
            return colours[..., 0] if is_grey and colours.any() else values[0]
        if len(values) > 1:
            return np.moveaxis(values, 0, -1)
        top = highest_value(self._dataset, 1)
        inverted = top - values[0] if is_min_white(self._dataset) else values[0]
        return np.where(inverted == top, 255, inverted).astype(np.uint8) if top < 255 else np.asarray(inverted)

    def preview(self, limit: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The whole scene, thinned out until its longest side is at most `limit` pixels; as `read`."""
        return self._converted(*self.thinned(limit))

    def thinned(self, limit: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """The whole scene, every so manieth pixel, until its longest side is at most `limit`; as `values`."""
        thin = max(1.0, max(self.height, self.width) / limit)
        shape = (max(1, round(self.height / thin)), max(1, round(self.width / thin)))
        return self._read(Window(0, 0, self.width, self.height), shape)

    @cached_property
    def _complete(self) -> bool:
        """Report whether the file has no mark for missing data: saves GDAL a check of each pixel."""
        return all(MaskFlags.all_valid in flags for flags in self._dataset.mask_flag_enums)

    @cached_property
    def _marks_values(self) -> bool:
        """Report whether a nodata value marks missing data; unread bands must then not count."""
        flags = [self._dataset.mask_flag_enums[band - 1] for band in self._bands]
        own = any(MaskFlags.nodata in some and MaskFlags.per_dataset not in some for some in flags)
        return own and ColorInterp.alpha not in self._dataset.colorinterp

    @cached_property
    def _striped(self) -> bool:
        """Report whether the file stores whole rows: each window of a row would decode all of them again.

        Rows of too many bytes to keep are decoded again all the same.
        """
        wide = self._dataset.width
        row = wide * len(self._bands) * max(kind.itemsize for kind in self.kinds)
        return all(width == wide for _, width in self._dataset.block_shapes) and row <= _ROW

    @cached_property
    def _rows(self) -> Callable[[int, int], tuple[NDArray[np.generic], NDArray[np.bool_]]]:
        """Whole rows (first, number); the latest are kept for the next window beside, no others."""
        wide = self._dataset.width
        kept: dict[tuple[int, int], tuple[NDArray[np.generic], NDArray[np.bool_]]] = {}

        def rows(first: int, count: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
            if (first, count) not in kept:
                kept.clear()  # before the next are read, or there would be room for both
                kept[first, count] = self._read(Window(-self._corner[0], first, wide, count), (count, wide))
            return kept[first, count]

        return rows

    def _read(self, window: Window, shape: tuple[int, int]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        for pause in PAUSES if self.is_service else ():
            try:
                values = self._read_once(window, shape)
                time.sleep(BETWEEN)
                return values
            except SourceError:
                time.sleep(pause)
        return self._read_once(window, shape)

    def _read_once(self, window: Window, shape: tuple[int, int]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        column, row = self._corner
        area = GdalWindow(column + window.column, row + window.row, window.width, window.height)
        try:
            if len(self.kinds) == 1:
                values = self._dataset.read(self._bands, window=area, out_shape=(len(self._bands), *shape))
            else:  # rasterio reads only bands of one type together
                values = np.stack([self._dataset.read(band, window=area, out_shape=shape) for band in self._bands])
            if self._complete:
                known = np.ones(shape, dtype=bool)
            elif self._marks_values:
                known = self._dataset.read_masks(self._bands, window=area, out_shape=(len(self._bands), *shape)).any(0)
            else:
                known = self._dataset.dataset_mask(window=area, out_shape=shape) > 0
        except GDAL_ERRORS as error:
            raise SourceError(unreadable(self.path, error)) from error
        return values, known

    def _converted(
        self, values: NDArray[np.generic], known: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        picture, finite = self._conversion(values) if self._conversion else (values, True)
        valid = known & finite
        bands = [picture[channel if len(picture) > 1 else 0] for channel in range(self.channels)]
        seen = cv2.merge(bands).reshape(*valid.shape, self.channels)  # NumPy takes seven times as long or more
        if not valid.all():
            seen[~valid] = 0
        return seen, valid


def is_address(path: str) -> bool:
    """Report whether a name is an address for GDAL instead of a local file: a URL, or a part of a file."""
    return _ADDRESS.match(path) is not None and not Path(path).exists()


def unreadable(path: str, error: Exception) -> str:
    """Return one sentence: the reason for an unreadable raster, and the remedy."""
    if not is_address(path) and not Path(path).exists():
        return f"{path}: no such file."
    reason = str(error.__cause__ or error).splitlines()[0].removeprefix(f"{path}: ").rstrip(".")
    return f"{path}: cannot be read ({reason}); download or copy it again, and check it with gdalinfo."


_ROW = 1 << 19  # bytes of a row of pixels; some thousand rows are kept
_BLOCK = 1 << 30  # bytes of a decoded block
_CACHE = 64 << 20  # bytes that GDAL may keep of decoded blocks: enough for neighbouring windows of a tiled raster
GDAL_ERRORS = (RasterioError, CPLE_BaseError)  # rasterio lets some errors of GDAL through as they are
ONE_CORE, ALL_CORES = "1", "ALL_CPUS"  # in GDAL's words


@contextmanager
def unplaced() -> Iterator[None]:
    """Silence the warning about a missing georeference: everything works, in pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn an error of GDAL into one sentence."""
    try:
        yield
    except GDAL_ERRORS as error:
        raise SourceError(unreadable(path, error)) from error


@contextmanager
def open_scene(
    path: str,
    *,
    bands: Sequence[int] | None = None,
    cores: str = ONE_CORE,
    crs: str | None = None,
    driver: str | None = None,
    key: str = "bands",
) -> Iterator[Scene]:
    """Open a raster as an RGB picture, by window; memory does not grow with its size.

    Args:
        path: any raster for GDAL: GeoTIFF, VRT, png, jpg, `https://...` (a cloud-optimised GeoTIFF).
        bands: one or three 1-based band numbers; None: red, green and blue as marked in the file.
        cores: ONE_CORE, or ALL_CORES to decompress blocks in parallel. ALL_CORES is unsafe before a fork: a forked
            reader would wait for threads it has not inherited.
        crs: reference system of a raster without one, e.g. "EPSG:32645".
        driver: GDAL's name of the only format to try; None: all.
        key: the caller's configuration key for bands; for messages.

    Raises:
        SourceError: missing, corrupt, or not a picture, or of another reference system than `crs`.
    """
    with _opened(path, cores, driver) as dataset:
        with _readable(path):
            chosen = choose_bands(dataset, bands, path, key)
            conversion = choose_conversion(dataset, chosen, path)
            placement = find_placement(dataset, path, crs)
        yield Scene(path, dataset.height, dataset.width, placement, 3, dataset, chosen, conversion)


@contextmanager
def open_bands(
    path: str,
    bands: Sequence[int] | None = None,
    stretch: Stretch | None = None,
    *,
    cores: str = ONE_CORE,
    crs: str | None = None,
) -> Iterator[Scene]:
    """Open a raster to read just these bands, by window.

    Args:
        path: as for `open_scene`.
        bands: numbers (from 1) of any number of bands; None = all.
        stretch: how their values become 0-255; None: values are read as they are.
        cores: as for `open_scene`.
        crs: as for `open_scene`.

    Raises:
        SourceError: missing, corrupt, without one of the bands, or of another reference system than `crs`.
    """
    with _opened(path, cores) as dataset:
        with _readable(path):
            chosen = check_bands(dataset, bands, path)
            placement = find_placement(dataset, path, crs)
        yield Scene(path, dataset.height, dataset.width, placement, len(chosen), dataset, chosen, stretch)


@contextmanager
def _opened(path: str, cores: str, driver: str | None = None) -> Iterator[DatasetReader]:
    # a server is not asked for files beside the picture; a folder is: .tfw, .msk and .ovr count
    beside = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if is_address(path) and "://" in path else {}
    # whole png files at once would be faster, but where one is cut short GDAL keeps it to itself
    careful = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, GDAL_NUM_THREADS=cores, **careful, **beside):
        if not is_address(path):
            require_file(Path(path), SourceError)
        with _readable(path), unplaced():
            dataset = rasterio.open(service(path) if is_tile_service(path) else path, driver=driver)
        with dataset:
            if not dataset.count:
                raise SourceError(f"{path}: holds no picture of its own; name one of its parts: {dataset.subdatasets}.")
            with _readable(path):
                _require_small_blocks(dataset, path)
            yield dataset


def _require_small_blocks(dataset: DatasetReader, path: str) -> None:
    """Refuse blocks too large to decode: GDAL decodes whole blocks, whatever is read of them."""
    together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    height, width = max(dataset.block_shapes, key=lambda shape: shape[0] * shape[1])
    itemsize = max(item_size(kind) for kind in dataset.dtypes)
    if height * width * itemsize * together > _BLOCK:
        raise SourceError(
            f"{path}: is stored in blocks of {width} x {height} px, too large to decode; write it in small tiles, e.g. "
            "gdal_translate -co TILED=YES FILE NEW.tif."
        )


def check_written(path: Path) -> None:
    """Read the last pixel of a file back: GDAL may report a full disk only when it closes one, to nobody.

    Raises:
        RasterioError: it is not whole.
    """
    with rasterio.open(path) as dataset:
        dataset.read(window=GdalWindow(dataset.width - 1, dataset.height - 1, 1, 1))


def files_of(path: str) -> list[Path]:
    """Return the local files behind a raster, sorted, files of a VRT included; none for an address."""
    found, left = set[str](), [] if "://" in path else [path]
    while left:
        try:
            with unplaced(), rasterio.open(left.pop()) as dataset:
                new = {*dataset.files} - found
        except GDAL_ERRORS:  # told where it is read
            continue
        found |= new
        left += [name for name in new if name.lower().endswith(".vrt")]
    return sorted(Path(name) for name in found if Path(name).exists())


def is_scene(path: str) -> bool:
    """Report whether to read a file by window: large, on a map, a collection, or not 8-bit grey or colours.

    A TIFF with nodata is a scene, too. An unreadable file is not: reading it as a
    picture reports the fault. An address is a scene; it is not opened yet.
    """
    if is_address(path):
        return True
    if not Path(path).is_file():  # a pipe would be waited for; reading reports it
        return False
    try:
        with unplaced(), rasterio.open(path) as dataset:
            if not dataset.count or dataset.driver == "VRT" or dataset.height * dataset.width > WHOLE:
                return True
            if is_placed(dataset):
                return True
            form = Form.of(dataset)
            if dataset.driver == "GTiff" and (form.nodata is not None or form.has_mask):
                return True
            return not form.is_rgb and dataset.colorinterp[0] != ColorInterp.cyan
    except GDAL_ERRORS:
        return False
