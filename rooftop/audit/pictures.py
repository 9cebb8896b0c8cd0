"""Pictures of a data set: facts of each one (size, brightness, faults), and duplicates among them.

Each picture is decoded once, in parallel, and its facts are cached. Duplicates are found also if they are turned,
mirrored, compressed again or brightened.

Each picture is reduced to 16 x 16 grey cells of mean 0 and variance 1. Two pictures are near duplicates if these cells
correlate by at least `NEAR` in one of the eight orientations. Comparing all with all would take hours for 280,000
pictures. Candidates come from a descriptor equal in all orientations: mirroring only changes signs of the cosine
transform and transposing only swaps its coefficients, so absolute values, sorted within each pair, stay the same.
Absolute values, sorting and dropped coefficients never increase a distance. A search within the radius for `NEAR`
therefore misses no pair. (After the perceptual hash of C. Zauner, 2010, with a bound instead of bits.)
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from rooftop.coco import picture_path
from rooftop.coco.arrays import Array, open_arena, write_arena
from rooftop.errors import DataError
from rooftop.processes import end_with_parent
from rooftop.raster.bands import as_rgb
from rooftop.raster.reading import PlainReading, Reading

_FORMAT = 3  # of the cache
SIDE = 16  # cells, of the small grey picture for comparisons
_BATCH = 256  # pictures in a file of the cache


@dataclass(frozen=True)
class Facts:
    """Columns over the N pictures of a split.

    Attributes:
        fault: reason why a picture cannot be read, or "".
        sizes: int32 (N, 2), height and width in pixels; 0 if unreadable.
        digest: uint8 (N, 16), hash of size and pixels.
        small: uint8 (N, 16, 16), grey.
        pixels: int64 (N,), number of pixels with data.
        mean: float64 (N, C), mean of each channel, pixels in [0, 1].
        square: float64 (N, C), mean square of each channel.
    """

    fault: list[str]
    sizes: NDArray[np.int32]
    digest: NDArray[np.uint8]
    small: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    def brightness(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each channel over all pixels with data, pixels in [0, 1]."""
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
        store: folder of the cache; an interrupted audit resumes from there.
        reading: how picture files are read; default: as 8-bit RGB.
        processes: number of parallel processes.
        progress: called with the number of new pictures.
    """
    batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
    reading = reading or PlainReading()
    look = partial(_cached_batch, folder, store, reading)
    parts = []
    workers = max(1, min(processes, len(batches)))
    with ProcessPoolExecutor(workers, None, end_with_parent, (os.getpid(),)) as pool:
        for part, meta in pool.map(look, batches) if processes > 1 else map(look, batches):
            parts.append((part, meta))
            if progress:
                progress(len(meta["fault"]))
    empty = _columns([], reading)
    columns = {name: np.concatenate([empty[name], *(part[name] for part, _ in parts)]) for name in empty}
    return Facts([fault for _, meta in parts for fault in meta["fault"]], **columns)


def _cached_batch(folder: Path, store: Path, reading: Reading, names: Sequence[str]) -> tuple[dict[str, Array], Any]:
    """Facts of a batch, from the cache if the files are unchanged."""
    path = store / f"{fingerprint(folder, reading, names)}.facts"
    try:
        found, meta = open_arena(path)
    except (OSError, ValueError):
        looks = [look(folder, name, reading) for name in names]
        found, meta = _columns(looks, reading), {"fault": [fault for fault, *_ in looks]}
        write_arena(path, {name: [column] for name, column in found.items()}, meta)
    return {name: np.array(column) for name, column in found.items()}, meta


def fingerprint(folder: Path, reading: Reading, names: Sequence[str]) -> str:
    """Hash names, sizes and times of the files, and how they are read: the cache key."""
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
    """Decode a picture: fault, (height, width), digest, small grey picture, pixels, mean and mean square."""
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
    """Mean and mean square of each channel of uint8 (..., C), pixels in [0, 1]."""
    bands = pixels.reshape(-1, pixels.shape[-1]).T
    histogram = np.stack([np.bincount(band, minlength=256) for band in bands]) / max(1, bands.shape[1])
    level = np.arange(256) / 255
    return histogram @ level, histogram @ level**2


def _columns(looks: Sequence[Look], reading: Reading) -> dict[str, Array]:
    """Turn looks, one for each picture, into columns."""
    channels = reading.channels
    return {
        "sizes": np.array([item[1] for item in looks], np.int32).reshape(-1, 2),
        "digest": np.frombuffer(b"".join(item[2] for item in looks), np.uint8).reshape(-1, 16),
        "small": np.array([item[3] for item in looks], np.uint8).reshape(-1, SIDE, SIDE),
        "pixels": np.array([item[4] for item in looks], np.int64),
        "mean": np.array([item[5] for item in looks], np.float64).reshape(-1, channels),
        "square": np.array([item[6] for item in looks], np.float64).reshape(-1, channels),
    }


NEAR = 0.99  # correlation
FLAT = 3.0  # grey levels, standard deviation; a flatter picture shows nothing to compare
_FREQUENCIES = 5  # lowest frequencies along each axis in the descriptor

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures.

    Attributes:
        pair: int64 (P, 2), indices of pictures, the lower one first.
        correlation: float64 (P,), 1 for equal pixels.
        is_exact: bool (P,), True for equal pixels.
    """

    pair: Indices
    correlation: NDArray[np.float64]
    is_exact: NDArray[np.bool_]


def find_pairs(digest: NDArray[np.uint8], small: NDArray[np.uint8], readable: NDArray[np.bool_]) -> Pairs:
    """Find exact copies, each paired with the first picture of its kind, then near duplicates among the rest.

    Args:
        digest: uint8 (N, 16), hashes of the pixels.
        small: uint8 (N, 16, 16), grey.
        readable: bool (N,); unreadable pictures are left out.
    """
    rows = np.flatnonzero(readable)
    _, first, inverse = np.unique(digest[rows], axis=0, return_index=True, return_inverse=True)
    origin = rows[first[inverse.reshape(-1)]]
    exact = np.stack([origin, rows], axis=1)[origin != rows]
    near, correlation = _near(small, rows[first])
    return Pairs(
        np.concatenate([exact, near]),
        np.concatenate([np.ones(len(exact)), correlation]),
        np.arange(len(exact) + len(near)) < len(exact),
    )


def groups(pairs: Pairs, count: int) -> Indices:
    """Number the groups of `count` pictures: int64 (count,); pictures linked by pairs share a number."""
    links = coo_array((np.ones(len(pairs.pair), bool), (pairs.pair[:, 0], pairs.pair[:, 1])), (count, count))
    label: Indices = connected_components(links, directed=False)[1].astype(np.int64)
    return label


def _near(small: NDArray[np.uint8], rows: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """Near duplicates among the pictures `rows`, and their correlation."""
    rows = np.sort(rows[small[rows].std(axis=(1, 2)) >= FLAT])
    if len(rows) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    cells = _normalised(small[rows])
    radius = np.sqrt(2 * (1 - NEAR) * cells[0].size)
    candidates = cKDTree(_descriptor(cells)).query_pairs(radius, output_type="ndarray")
    candidates.sort(axis=1)
    best = np.full(len(candidates), -1.0)
    for turned in _orientations(cells):
        for part in np.array_split(np.arange(len(candidates)), len(candidates) // 10_000 + 1):
            left, right = cells[candidates[part, 0]], turned[candidates[part, 1]]
            best[part] = np.maximum(best[part], (left * right).mean(axis=(1, 2)))
    keep = best >= NEAR
    return rows[candidates[keep]], best[keep]


def _normalised(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Cells of mean 0 and variance 1: float32 (N, 16, 16)."""
    cells = small.astype(np.float32)
    cells -= cells.mean(axis=(1, 2), keepdims=True)
    cells /= cells.std(axis=(1, 2), keepdims=True)
    return cells


def _descriptor(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Descriptor, equal in all eight orientations: float32 (N, 24)."""
    waves = np.abs(dctn(cells, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES])
    turned = waves.transpose(0, 2, 1)
    # transposing a picture swaps every pair: store the greater of each pair above the diagonal, the smaller below
    upper = np.triu(np.ones((_FREQUENCIES, _FREQUENCIES), bool))
    both = np.where(upper, np.maximum(waves, turned), np.minimum(waves, turned))
    descriptor: NDArray[np.float32] = both.reshape(len(cells), -1)[:, 1:]
    return descriptor


def _orientations(cells: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield the eight orientations of all pictures."""
    for mirrored in (cells, cells[:, :, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns, axes=(1, 2))
