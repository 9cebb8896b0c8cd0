"""Pictures that show the same, also turned, mirrored, compressed again or brightened.

Each picture is reduced to 16 x 16 grey cells of mean 0 and variance 1. Two pictures are near duplicates if these
correlate by at least `NEAR` in one of the eight orientations. Comparing all with all would take hours for 280,000
pictures, so candidates come from a descriptor that no orientation changes: mirroring only changes signs of the cosine
transform, transposing only swaps its coefficients, hence absolute values, sorted within each pair, stay as they are.
Neither taking absolute values, nor sorting, nor leaving coefficients out increases a distance; therefore a search
within the radius that `NEAR` allows misses no pair. (After the perceptual hash of C. Zauner, 2010, but with a bound in
place of bits.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

NEAR = 0.99  # correlation
FLAT = 3.0  # grey levels of standard deviation; below, a picture shows nothing that could be compared
_FREQUENCIES = 5

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures: int64 (P, 2), the first of the lower index; correlation float64 (P,), 1 for equal pixels."""

    pair: Indices
    correlation: NDArray[np.float64]
    is_exact: NDArray[np.bool_]


def find_pairs(digest: NDArray[np.uint8], small: NDArray[np.uint8], readable: NDArray[np.bool_]) -> Pairs:
    """Each picture that is a copy, with the first it is a copy of; then near duplicates among the ones that remain.

    Args:
        digest: uint8 (N, 16), hashes of the pixels.
        small: uint8 (N, 16, 16), grey.
        readable: bool (N,); the others are left out.
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
    """The group of each of `count` pictures: int64 (count,); pictures linked by pairs share one."""
    links = coo_array((np.ones(len(pairs.pair), bool), (pairs.pair[:, 0], pairs.pair[:, 1])), (count, count))
    label: Indices = connected_components(links, directed=False)[1].astype(np.int64)
    return label


def _near(small: NDArray[np.uint8], rows: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """Pairs of the pictures `rows` that correlate, and how much."""
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
    """What no orientation changes: float32 (N, 24)."""
    waves = np.abs(dctn(cells, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES])
    turned = waves.transpose(0, 2, 1)
    # the transposed picture swaps every pair: the greater of each pair above the diagonal, the lesser below
    upper = np.triu(np.ones((_FREQUENCIES, _FREQUENCIES), bool))
    both = np.where(upper, np.maximum(waves, turned), np.minimum(waves, turned))
    descriptor: NDArray[np.float32] = both.reshape(len(cells), -1)[:, 1:]
    return descriptor


def _orientations(cells: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The eight orientations of all pictures."""
    for mirrored in (cells, cells[:, :, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns, axes=(1, 2))
