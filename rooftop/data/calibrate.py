"""What a data configuration leaves open, measured on the training pictures: scale, mean and standard deviation."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.data.layout import open_split, read_places
from rooftop.errors import ConfigError, DataError
from rooftop.raster.bands import Stretch
from rooftop.raster.reading import BandReading, PlainReading, read_sample

PICTURES, SIDE = 512, 64  # so many pictures, spread evenly and thinned out to so many pixels a side, are looked at
_LEAST = 1 / 255  # standard deviation of bands that hardly vary, so that nothing is divided by nothing
_EIGHT_BITS = (0.0, 255.0)
Scale = tuple[tuple[float, float], ...]


def calibrated(config: dict[str, Any]) -> dict[str, Any]:
    """The `data` group with `scale`, `mean` and `std` for each band; those given stay, one value stands for all bands.

    What is null is measured on the training pictures. 8-bit bands keep their values; others are cut off at the
    percentiles `data.percentiles`. Mean and standard deviation are of pictures scaled to [0, 1].

    Raises:
        ConfigError: the number of values is not that of the bands, or one of them makes no sense.
        DataError: a picture that cannot be read or lacks a band, or a band of one value throughout.
    """
    bands = _bands(config.get("bands"))
    channels = len(bands) if bands else 3
    known: dict[str, Any] = {key: _one_each(config.get(key), key, channels) for key in ("mean", "std", "scale")}
    if bands is None:
        known["scale"] = None
    if bands and known["scale"] is not None:
        _check_scale(known["scale"])
    if None in (known["mean"], known["std"]) or (bands and known["scale"] is None):
        known = _measured(config, bands, known)
    return {**config, **known}


def scale_of_readable(config: dict[str, Any]) -> list[Any] | None:
    """The scale alone, for those who look for broken pictures: those that cannot be read have no part in it.

    Raises:
        ConfigError: a scale that makes no sense.
        DataError: a band of one value throughout.
    """
    bands = _bands(config["bands"])
    if bands is None:
        return None
    scale = _one_each(config["scale"], "scale", len(bands))
    if scale is not None:
        _check_scale(scale)
        return scale
    samples, eight = [], []
    for path in _training_pictures(config):
        with suppress(DataError):
            values, is_8_bit = read_sample(path, bands, SIDE)
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


def _measured(config: dict[str, Any], bands: list[int] | None, known: dict[str, Any]) -> dict[str, Any]:
    paths = _training_pictures(config)
    if bands is None:
        found = np.concatenate([_plain_sample(path) for path in paths], axis=1)
        return known | _statistics(found, known)
    samples, eight = zip(*(read_sample(path, bands, SIDE) for path in paths), strict=True)
    values = np.concatenate(samples, axis=1)
    scale = known["scale"] or _scale(values, bands, config["percentiles"], is_8_bit=all(eight))
    pixels, _ = Stretch.of(scale)(values[:, None])
    return known | {"scale": [list(pair) for pair in scale]} | _statistics(pixels[:, 0], known)


def _training_pictures(config: dict[str, Any]) -> list[Path]:
    # sizes, which mask folders are asked for, do not depend on the bands
    reading = BandReading((1,), (_EIGHT_BITS,)) if config.get("bands") else PlainReading()
    source, picks = open_split(read_places(config, reading), "train", config["name"])
    places = np.unique(np.linspace(0, len(picks) - 1, min(len(picks), PICTURES)).astype(int))
    return [source.path(int(i)) for i in picks[places]]


def _plain_sample(path: Path) -> NDArray[np.uint8]:
    """uint8 (3, N)."""
    picture = PlainReading().picture(path)
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
            f"band {band} has the one value {low:g} throughout the training pictures; take it off data.bands, "
            "or say by data.scale which values become 0 and 255."
        )
    return float(f"{low:.7g}"), float(f"{high:.7g}")


def _statistics(pixels: NDArray[np.uint8], known: dict[str, Any]) -> dict[str, list[float]]:
    """Mean and standard deviation of uint8 (C, N), those known left as they are."""
    values = pixels / 255
    mean, std = values.mean(axis=1).round(4).tolist(), values.std(axis=1).clip(_LEAST).round(4).tolist()
    return {"mean": known["mean"] or mean, "std": known["std"] or std}
