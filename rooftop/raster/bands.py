"""Choice of the bands of a raster, and conversion of their values to 0-255."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from rooftop.errors import SourceError

_SAMPLE = 1024  # longest side, in pixels, of the thinned-out picture from which the stretch is taken
_PERCENTILES = (2, 98)  # as QGIS stretches rasters for display
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Palette:
    """Band 1 holds indices into a table of colours: uint8 (N + 1, 4), RGBA; the last is for any other index."""

    table: NDArray[np.uint8]

    def __call__(self, values: NDArray[np.generic]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Indices (1, H, W) to a picture uint8 (3, H, W) and valid bool (H, W): not wholly transparent."""
        index, last = values[0].astype(np.int64), len(self.table) - 1
        colours = self.table[np.where((index >= 0) & (index < last), index, last)]
        opaque: NDArray[np.bool_] = colours[..., 3] > 0
        return np.moveaxis(colours[..., :3], -1, 0), opaque


@dataclass(frozen=True)
class Stretch:
    """Values are stretched linearly, each band from [low, high] to [0, 255], the same over the whole raster.

    Attributes:
        low: value of each band for 0, float64 (C,).
        high: value of each band for 255, float64 (C,).
        inverted: the lowest value is white; 0 and 255 change places.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    inverted: bool = False

    @classmethod
    def of(cls, scale: Sequence[Sequence[float]], *, inverted: bool = False) -> "Stretch":
        """From a pair (low, high) for each band."""
        low, high = np.array(scale, np.float64).T
        return cls(low, high, inverted)

    def __call__(self, values: NDArray[np.generic]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Values (C, H, W) of any number type to uint8 (C, H, W) and valid bool (H, W): finite in each band."""
        if values.dtype not in (np.uint8, np.uint16):
            return self._computed(values)
        picture = np.stack([table[band] for table, band in zip(self._table, values, strict=True)])
        return picture, np.ones(values.shape[1:], dtype=bool)

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """Make a lookup table for 16-bit values, uint8 (C, 65536): several times faster than computing."""
        every = np.broadcast_to(np.arange(65536), (len(self.low), 1, 65536))
        return self._computed(every)[0][:, 0]

    def _computed(self, values: NDArray[np.generic]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        number = values.astype(np.float64)
        finite = np.asarray(np.isfinite(number).all(axis=0))
        span = np.maximum(self.high - self.low, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):  # of a constant band: whatever exceeds its value is white
            share = (np.where(finite, number, 0) - self.low[:, None, None]) / span[:, None, None]
        share = share.clip(0, 1)
        return np.rint(255 * (1 - share if self.inverted else share)).astype(np.uint8), finite


Conversion = Palette | Stretch
"""Turns values (C, H, W) as stored into a picture uint8 (C, H, W) and valid bool (H, W)."""


@dataclass(frozen=True)
class Form:
    """Properties of a raster, apart from its values.

    Attributes:
        is_rgb: 8-bit grey or colours, perhaps with transparency or a palette, as in a png.
        has_colours: the first three bands are red, green and blue.
        has_alpha: the last band is transparency.
        has_palette: its values are indices of colours.
        has_mask: a mask of its own marks the pixels with data.
        nodata: the value of pixels without data.
    """

    is_rgb: bool
    has_colours: bool
    has_alpha: bool
    has_palette: bool
    has_mask: bool
    nodata: float | None

    @classmethod
    def of(cls, dataset: DatasetReader) -> "Form":
        """Read the properties of an open raster."""
        colours, flags = list(dataset.colorinterp), dataset.mask_flag_enums[0]
        opaque = [colour for colour in colours if colour != ColorInterp.alpha]
        return cls(
            is_rgb={*dataset.dtypes} == {"uint8"} and len(opaque) in (1, 3),
            has_colours=tuple(colours[:3]) == _RGB,
            has_alpha=colours[-1] == ColorInterp.alpha,
            has_palette=colours[0] == ColorInterp.palette,
            has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
            nodata=dataset.nodata,
        )


def choose_bands(dataset: DatasetReader, bands: Sequence[int] | None, path: str, key: str = "bands") -> list[int]:
    """Return the 1-based numbers of the bands for red, green and blue; a single band stands for all three.

    Args:
        dataset: an open raster.
        bands: as typed; None: by the colours named in the file, else the first three of 3 or 4.
        path: for messages.
        key: the caller's configuration key for bands; for messages.

    Raises:
        SourceError: a band does not exist, or red, green and blue are unknown.
    """
    colours, count = list(dataset.colorinterp), dataset.count
    if bands:
        wrong = [band for band in bands if not 1 <= band <= count]
        if wrong or len(bands) not in (1, 3):
            raise SourceError(f"{path}: {key}={list(bands)} must be one or three of its bands 1 to {count}.")
        return list(bands)
    if set(_RGB) <= set(colours):
        return [colours.index(colour) + 1 for colour in _RGB]
    pictures = [i + 1 for i, colour in enumerate(colours) if colour != ColorInterp.alpha]
    if len(pictures) == 1:
        return pictures
    if len(pictures) in (3, 4):
        return pictures[:3]
    raise SourceError(
        f"{path}: none of its {count} bands is marked red, green or blue; name three, e.g. {key}=[1,2,{count}]."
        if count > 2
        else f"{path}: has two bands and neither is transparency; name the one to look at, e.g. {key}=[1]."
    )


def check_bands(dataset: DatasetReader, bands: Sequence[int] | None, path: str) -> list[int]:
    """Numbers (from 1) of the bands asked for, any number of them; None = all there are.

    Raises:
        SourceError: a band does not exist, or holds complex numbers.
    """
    chosen = list(bands or range(1, dataset.count + 1))
    if any(not 1 <= band <= dataset.count for band in chosen):
        raise SourceError(
            f"{path}: bands={chosen} must be among its bands 1 to {dataset.count}; name others, or leave the file out."
        )
    _check_real(dataset, chosen, path)
    return chosen


def as_rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture for people, uint8 (H, W, C) -> uint8 (H, W, 3): the first three bands, or the first as grey."""
    return picture[..., :3] if picture.shape[-1] >= 3 else np.repeat(picture[..., :1], 3, axis=-1)


def choose_conversion(dataset: DatasetReader, bands: list[int], path: str) -> Conversion | None:
    """Choose the conversion of the bands' values to 0-255; None if they are 0-255 already.

    Raises:
        SourceError: the values are complex numbers.
    """
    kinds = _check_real(dataset, bands, path)
    if bands == [1] and dataset.colorinterp[0] == ColorInterp.palette:
        return Palette(_table(dataset.colormap(1)))
    inverted = is_min_white(dataset)
    if kinds != {np.dtype(np.uint8)}:
        return replace(_stretch(dataset, bands), inverted=inverted)
    highest = [highest_value(dataset, band) for band in bands]
    return Stretch.of([(0, top) for top in highest], inverted=inverted) if inverted or min(highest) < 255 else None


def is_min_white(dataset: DatasetReader) -> bool:
    """Report whether 0 is white in a grey TIFF without palette (photometric MinIsWhite)."""
    return bool(dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")


def highest_value(dataset: DatasetReader, band: int) -> int:
    """Return the highest value of a band of whole numbers by its bits: 1 for 1 bit, 15 for 4, 255 for 8."""
    stated = dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", "")
    bits = 8 * np.dtype(dataset.dtypes[band - 1]).itemsize
    return int(2 ** (min(int(stated), bits) if stated.isdecimal() and len(stated) < 3 and int(stated) else bits) - 1)


def _check_real(dataset: DatasetReader, bands: list[int], path: str) -> set[np.dtype[np.generic]]:
    """Number types of these bands."""
    names = [dataset.dtypes[band - 1] for band in bands]
    if any(name.startswith("complex") for name in names):  # NumPy has no complex_int16
        raise SourceError(f"{path}: holds complex numbers; convert it to a picture of real numbers first.")
    return {np.dtype(name) for name in names}


def item_size(name: str) -> int:
    """Return the bytes of a value of GDAL's number type of this name."""
    return 4 if name == "complex_int16" else np.dtype(name).itemsize


def _table(colours: dict[int, tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    table = np.zeros((max(colours) + 2, 4), np.uint8)  # an index without a colour is transparent
    table[list(colours)] = list(colours.values())
    return table


def _stretch(dataset: DatasetReader, bands: list[int]) -> Stretch:
    """Percentiles of a thinned-out picture; pixels without data do not count."""
    thin = max(1.0, max(dataset.shape) / _SAMPLE)
    shape = tuple(max(1, round(side / thin)) for side in dataset.shape)
    sample = (dataset.read(band, out_shape=shape, masked=True).astype(np.float64) for band in bands)
    limits = [_limits(np.ma.masked_invalid(values).compressed()) for values in sample]
    low, high = np.array(limits).T
    return Stretch(low, high)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
