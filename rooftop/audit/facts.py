"""What the pictures of a split say of themselves: each is decoded once, in parallel, and remembered."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.coco import picture_path
from rooftop.coco.arrays import Array, open_arena, write_arena
from rooftop.errors import DataError
from rooftop.raster.bands import as_rgb
from rooftop.raster.reading import PlainReading, Reading

_FORMAT = 2  # of what is remembered
SIDE = 16  # of the small grey picture by which pictures are compared
_BATCH = 256


@dataclass(frozen=True)
class Facts:
    """Columns over the N pictures of a split.

    fault: why the picture cannot be read, "" if it can. sizes: int32 (N, 2), height and width, 0 if unreadable.
    digest: uint8 (N, 16), a hash of size and pixels. small: uint8 (N, 16, 16), grey. pixels: int64 (N,), with data.
    mean, square: float64 (N, C), of the channels and of their squares, pixels in [0, 1].
    """

    fault: list[str]
    sizes: NDArray[np.int32]
    digest: NDArray[np.uint8]
    small: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    def brightness(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels with data, pixels in [0, 1]."""
        weight = self.pixels.astype(np.float64)
        if not weight.any():
            return [], []
        mean = np.average(self.mean, axis=0, weights=weight)
        spread = np.sqrt(np.average(self.square, axis=0, weights=weight) - mean**2)
        return mean.round(4).tolist(), spread.round(4).tolist()


def gather(
    folder: Path,
    names: Sequence[str],
    store: Path,
    *,
    reading: Reading | None = None,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Facts:
    """Decode every picture once.

    Args:
        folder: of the pictures.
        names: file names, relative to it.
        store: folder for what is known already; an audit that was stopped goes on from there.
        reading: how picture files are read; None: as 8-bit RGB.
        processes: that work at the same time.
        progress: is told how many pictures came in.
    """
    batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
    reading = reading or PlainReading()
    look = partial(_remember, folder, store, reading)
    parts = []
    with ProcessPoolExecutor(max(1, min(processes, len(batches)))) as pool:
        for part, meta in pool.map(look, batches) if processes > 1 else map(look, batches):
            parts.append((part, meta))
            if progress:
                progress(len(meta["fault"]))
    empty = _columns([], reading)
    columns = {name: np.concatenate([empty[name], *(part[name] for part, _ in parts)]) for name in empty}
    return Facts([fault for _, meta in parts for fault in meta["fault"]], **columns)


def _remember(folder: Path, store: Path, reading: Reading, names: Sequence[str]) -> tuple[dict[str, Array], Any]:
    """The facts of a batch, out of the store if the files are still the same."""
    path = store / f"{_fingerprint(folder, reading, names)}.facts"
    try:
        found, meta = open_arena(path)
    except (OSError, ValueError):
        looks = [look(folder, name, reading) for name in names]
        found, meta = _columns(looks, reading), {"fault": [fault for fault, *_ in looks]}
        write_arena(path, {name: [column] for name, column in found.items()}, meta)
    return {name: np.array(column) for name, column in found.items()}, meta


def _fingerprint(folder: Path, reading: Reading, names: Sequence[str]) -> str:
    """A hash of names, sizes and times of files, and of how they are read."""
    digest = hashlib.blake2b(repr((_FORMAT, str(folder.resolve()), reading)).encode(), digest_size=16)
    for name in names:
        try:
            state = (folder / name).stat()
            digest.update(repr((name, state.st_size, state.st_mtime_ns)).encode())
        except (OSError, ValueError):
            digest.update(repr(name).encode())
    return digest.hexdigest()


Look = tuple[str, tuple[int, int], bytes, Array, int, Array, Array]


def look(folder: Path, name: str, reading: Reading) -> Look:
    """Decode one picture: fault, (height, width), digest, small grey one, pixels, mean and mean square of channels."""
    nothing = np.zeros(reading.channels)
    try:
        path = picture_path(folder, name)
        pixels, valid = reading.picture(path), reading.valid(path)
    except DataError as error:
        fault = str(error).removeprefix(f"{folder / name}: ")
        return fault, (0, 0), bytes(16), np.zeros((SIDE, SIDE), np.uint8), 0, nothing, nothing
    grey = Image.fromarray(as_rgb(pixels)).convert("L")
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    mean, square = _brightness(pixels if valid is None else pixels[valid])
    count = pixels.shape[0] * pixels.shape[1] if valid is None else int(valid.sum())
    return "", pixels.shape[:2], digest.digest(), small, count, mean, square


def _brightness(pixels: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Mean and mean square of each channel of uint8 (..., C), in [0, 1]."""
    bands = pixels.reshape(-1, pixels.shape[-1]).T
    histogram = np.stack([np.bincount(band, minlength=256) for band in bands]) / max(1, bands.shape[1])
    level = np.arange(256) / 255
    return histogram @ level, histogram @ level**2


def _columns(looks: Sequence[Look], reading: Reading) -> dict[str, Array]:
    """Looks, one a picture, as columns."""
    channels = reading.channels
    return {
        "sizes": np.array([item[1] for item in looks], np.int32).reshape(-1, 2),
        "digest": np.frombuffer(b"".join(item[2] for item in looks), np.uint8).reshape(-1, 16),
        "small": np.array([item[3] for item in looks], np.uint8).reshape(-1, SIDE, SIDE),
        "pixels": np.array([item[4] for item in looks], np.int64),
        "mean": np.array([item[5] for item in looks], np.float64).reshape(-1, channels),
        "square": np.array([item[6] for item in looks], np.float64).reshape(-1, channels),
    }
