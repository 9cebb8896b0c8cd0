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
from rooftop.coco.arena import Array, open_arena, write_arena
from rooftop.errors import DataError
from rooftop.raster.picture import read_picture

SIDE = 16  # of the small grey picture by which pictures are compared
_BATCH = 256


@dataclass(frozen=True)
class Facts:
    """Columns over the N pictures of a split.

    fault: why the picture cannot be read, "" if it can. sizes: int32 (N, 2), height and width, 0 if unreadable.
    digest: uint8 (N, 16), a hash of size and pixels. small: uint8 (N, 16, 16), grey. mean, square: float64 (N, 3), of
    the channels and of their squares, pixels in [0, 1].
    """

    fault: list[str]
    sizes: NDArray[np.int32]
    digest: NDArray[np.uint8]
    small: NDArray[np.uint8]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    def brightness(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels of readable pictures, pixels in [0, 1]."""
        weight = self.sizes.astype(np.float64).prod(axis=1)
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
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Facts:
    """Decode every picture once.

    Args:
        folder: of the pictures.
        names: file names, relative to it.
        store: folder for what is known already; an audit that was stopped goes on from there.
        processes: that work at the same time.
        progress: is told how many pictures came in.
    """
    batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
    look = partial(_remember, folder, store)
    parts = []
    with ProcessPoolExecutor(max(1, min(processes, len(batches)))) as pool:
        for part, meta in pool.map(look, batches) if processes > 1 else map(look, batches):
            parts.append((part, meta))
            if progress:
                progress(len(meta["fault"]))
    empty = _columns([])
    columns = {name: np.concatenate([empty[name], *(part[name] for part, _ in parts)]) for name in empty}
    return Facts([fault for _, meta in parts for fault in meta["fault"]], **columns)


def _remember(folder: Path, store: Path, names: Sequence[str]) -> tuple[dict[str, Array], Any]:
    """The facts of a batch, out of the store if the files are still the same."""
    path = store / f"{_fingerprint(folder, names)}.facts"
    try:
        found, meta = open_arena(path)
    except (OSError, ValueError):
        looks = [look(folder, name) for name in names]
        found, meta = _columns(looks), {"fault": [fault for fault, *_ in looks]}
        write_arena(path, {name: [column] for name, column in found.items()}, meta)
    return {name: np.array(column) for name, column in found.items()}, meta


def _fingerprint(folder: Path, names: Sequence[str]) -> str:
    """A hash of names, sizes and times of files."""
    digest = hashlib.blake2b(str(folder.resolve()).encode(), digest_size=16)
    for name in names:
        try:
            state = (folder / name).stat()
            digest.update(repr((name, state.st_size, state.st_mtime_ns)).encode())
        except (OSError, ValueError):
            digest.update(repr(name).encode())
    return digest.hexdigest()


Look = tuple[str, tuple[int, int], bytes, Array, Array, Array]


def look(folder: Path, name: str) -> Look:
    """Decode one picture: fault, (height, width), digest, small grey picture, mean and mean square of channels."""
    try:
        pixels = read_picture(picture_path(folder, name))
    except DataError as error:
        nothing = np.zeros(3)
        return (
            str(error).removeprefix(f"{folder / name}: "),
            (0, 0),
            bytes(16),
            np.zeros((SIDE, SIDE), np.uint8),
            nothing,
            nothing,
        )
    image = Image.fromarray(pixels)
    small = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    histogram = np.reshape(image.histogram(), (3, 256)) / (pixels.shape[0] * pixels.shape[1])
    level = np.arange(256) / 255
    return "", pixels.shape[:2], digest.digest(), small, histogram @ level, histogram @ level**2


def _columns(looks: Sequence[Look]) -> dict[str, Array]:
    """Looks, one a picture, as columns."""
    return {
        "sizes": np.array([item[1] for item in looks], np.int32).reshape(-1, 2),
        "digest": np.frombuffer(b"".join(item[2] for item in looks), np.uint8).reshape(-1, 16),
        "small": np.array([item[3] for item in looks], np.uint8).reshape(-1, SIDE, SIDE),
        "mean": np.array([item[4] for item in looks], np.float64).reshape(-1, 3),
        "square": np.array([item[5] for item in looks], np.float64).reshape(-1, 3),
    }
