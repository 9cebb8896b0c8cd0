"""Calibration: scale, mean and standard deviation of bands, measured on the training pictures."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.data.layout import DataLayout, open_split, read_layout
from rooftop.data.sources import Source
from rooftop.errors import ConfigError, DataError
from rooftop.raster.bands import Stretch
from rooftop.raster.reading import BandReading, PlainReading, read_sample

PICTURES, SIDE = 512, 64  # at most this many pictures, spread evenly, thinned out to this many pixels a side
_LEAST = 1 / 255  # least standard deviation: no division by 0 for constant bands
_EIGHT_BITS = (0.0, 255.0)
Scale = tuple[tuple[float, float], ...]
Opened = tuple[Source, NDArray[np.int64]]  # a split: its source, and the indices of its pictures there


def calibrated(config: dict[str, Any], open_training: Callable[[], Opened] | None = None) -> dict[str, Any]:
    """Complete `scale`, `mean` and `std` of the `data` group, one value per band.

    Given values stay; a single value stands for all bands. A null is measured on the training pictures. 8-bit bands
    keep their values; others are cut off at the percentiles `data.percentiles`. Mean and standard deviation are of
    pictures scaled to [0, 1].

    Args:
        config: the resolved `data` group.
        open_training: opens the training split, called only if something is measured; None: by the layout in `config`.

    Raises:
        ConfigError: the number of values differs from the number of bands, or a value is invalid.
        DataError: a picture is unreadable or lacks a band, or a band has one value throughout.
    """
    bands = _bands(config.get("bands"))
    channels = len(bands) if bands else 3
    known: dict[str, Any] = {key: _one_each(config.get(key), key, channels) for key in ("mean", "std", "scale")}
    if bands is None:
        known["scale"] = None
    if bands and known["scale"] is not None:
        _check_scale(known["scale"])
    if None in (known["mean"], known["std"]) or (bands and known["scale"] is None):
        source, picks = (open_training or partial(_open_training, config))()
        known = _measured(source, _spread(picks), config["percentiles"], bands, known)
    return {**config, **known}


def scale_of_readable(config: dict[str, Any]) -> list[Any] | None:
    """Return only the scale, and skip unreadable pictures: for the audit.

    Raises:
        ConfigError: the scale is invalid.
        DataError: a band has one value throughout.
    """
    bands = _bands(config["bands"])
    if bands is None:
        return None
    scale = _one_each(config["scale"], "scale", len(bands))
    if scale is not None:
        _check_scale(scale)
        return scale
    samples, eight = [], []
    source, picks = open_split(uncalibrated_layout(config), "train", config["name"], is_checked=False)
    for i in _spread(picks):
        with suppress(DataError):
            values, is_8_bit = read_sample(source.path(i), bands, SIDE)
            samples.append(values)
            eight.append(is_8_bit)
    known = np.concatenate(samples, axis=1) if samples else np.zeros((len(bands), 0))
    return [list(pair) for pair in _scale(known, bands, config["percentiles"], is_8_bit=all(eight))]


def _bands(bands: Sequence[int] | None) -> list[int] | None:
    if bands is None:
        return None
    if not bands or min(bands) < 1:
        raise ConfigError(f"data.bands={list(bands)} must name one band or more, counted from 1; or set it to null.")
    return list(bands)


def _one_each(values: Sequence[Any] | None, key: str, channels: int) -> list[Any] | None:
    if values is None or len(values) == channels:
        return None if values is None else list(values)
    if len(values) == 1:
        return list(values) * channels
    raise ConfigError(
        f"data.{key} has {len(values)} values, but pictures have {channels} bands; give one for each, "
        f"or data.{key}=null to have it measured on the training pictures."
    )


def _check_scale(scale: Sequence[Any]) -> None:
    for pair in scale:
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(v, int | float) for v in pair)
        if not is_pair or not pair[0] < pair[1]:
            raise ConfigError(f"data.scale: {pair} must be two values, the lower one first, e.g. [[0,10000]].")


def _measured(
    source: Source,
    chosen: Sequence[int],
    percentiles: Sequence[float],
    bands: list[int] | None,
    known: dict[str, Any],
) -> dict[str, Any]:
    if bands is None:
        found = np.concatenate([_thinned(source.picture(i)) for i in chosen], axis=1)
        return known | _statistics(found, known)
    samples, eight = zip(*(read_sample(source.path(i), bands, SIDE) for i in chosen), strict=True)
    values = np.concatenate(samples, axis=1)
    scale = known["scale"] or _scale(values, bands, percentiles, is_8_bit=all(eight))
    pixels, _ = Stretch.of(scale)(values[:, None])
    return known | {"scale": [list(pair) for pair in scale]} | _statistics(pixels[:, 0], known)


def uncalibrated_layout(config: dict[str, Any]) -> DataLayout:
    """Take the layout out of the `data` group before its scale is known: good for names and sizes of pictures.

    Sizes do not depend on the bands, so one band with any scale stands for all.
    """
    return read_layout(config, BandReading((1,), (_EIGHT_BITS,)) if config.get("bands") else PlainReading())


def _open_training(config: dict[str, Any]) -> Opened:
    return open_split(uncalibrated_layout(config), "train", config["name"])


def _spread(picks: NDArray[np.int64]) -> list[int]:
    """Choose at most `PICTURES` of the picks, spread evenly."""
    chosen = np.unique(np.linspace(0, len(picks) - 1, min(len(picks), PICTURES)).astype(int))
    return [int(i) for i in picks[chosen]]


def _thinned(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (3, N)."""
    thin = -(-max(picture.shape) // SIDE)
    pixels: NDArray[np.uint8] = picture[::thin, ::thin].reshape(-1, 3).T
    return pixels


def _scale(values: NDArray[np.generic], bands: Sequence[int], percentiles: Sequence[float], *, is_8_bit: bool) -> Scale:
    if is_8_bit:
        return (_EIGHT_BITS,) * len(bands)
    if not values.shape[1]:
        raise DataError("no training picture has a pixel with data in each of data.bands; choose other bands.")
    return tuple(_limits(row, band, percentiles) for row, band in zip(values, bands, strict=True))


def _limits(values: NDArray[np.generic], band: int, percentiles: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = np.percentile(values.astype(np.float64), percentiles)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"data.percentiles={percentiles} must be two of 0 to 100, as [0.5, 99.5].") from error
    if not low < high:  # nearly all pixels are alike
        low, high = float(values.min()), float(values.max())
    if not low < high:
        raise DataError(
            f"band {band} has the one value {low:g} throughout the training pictures; remove it from data.bands, "
            "or set data.scale to the values for 0 and 255."
        )
    return float(f"{low:.7g}"), float(f"{high:.7g}")


def _statistics(pixels: NDArray[np.uint8], known: dict[str, Any]) -> dict[str, list[float]]:
    """Mean and standard deviation of uint8 (C, N), those known left as they are."""
    values = pixels / 255
    mean, std = values.mean(axis=1).round(4).tolist(), values.std(axis=1).clip(_LEAST).round(4).tolist()
    return {"mean": known["mean"] or mean, "std": known["std"] or std}
