"""Folds of checked squares for cross-validation: every square is scored by weights that did not see it."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

FEWEST = 4  # squares: of fewer, nothing can be proven


def fold_of(squares: Sequence[BaseGeometry], weights: Sequence[float], folds: int) -> NDArray[np.int64]:
    """Divide squares into folds of about equal weight; squares that touch share a fold.

    Groups of touching squares are dealt out from the heaviest to the lightest, each to the lightest fold so far. So
    neighbours, which look alike, are seldom on both sides: only where a group larger than a fold is cut across.

    Args:
        squares: in one frame.
        weights: of each square, such as the number of its roofs.
        folds: K, the largest number of folds.

    Returns:
        int64 (N,), the fold of each square, from 0; fewer than K folds if there are fewer groups.
    """
    groups = _cut(_touching(squares), squares, most=-(-len(squares) // folds))
    load = np.zeros(min(folds, groups.max(initial=-1) + 1))
    sizes = np.bincount(groups, weights=np.asarray(weights, dtype=np.float64) + 1.0)  # without roofs it counts, too
    fold = np.zeros(len(squares), np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        lightest = int(np.argmin(load))
        fold[groups == group] = lightest
        load[lightest] += sizes[group]
    return fold


def _touching(squares: Sequence[BaseGeometry]) -> NDArray[np.int64]:
    """Number the groups of squares that touch or overlap, from 0 in the order of their first square."""
    group = np.arange(len(squares))
    tree = shapely.STRtree(squares)
    for one, other in tree.query(squares, predicate="intersects").T:
        if group[one] != group[other]:
            group[group == group[other]] = group[one]
    return _numbered(group)


def _cut(groups: NDArray[np.int64], squares: Sequence[BaseGeometry], *, most: int) -> NDArray[np.int64]:
    """Cut groups of more than `most` squares into about equal parts, across their longer side; numbered from 0."""
    middles = shapely.get_coordinates(shapely.centroid(np.array(squares, object))).reshape(-1, 2)
    parts = np.zeros(len(squares), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        along = middles[members][:, int(np.argmax(np.ptp(middles[members], axis=0)))]
        for i, part in enumerate(np.array_split(members[np.argsort(along, kind="stable")], -(-len(members) // most))):
            parts[part] = i
    return _numbered(groups * len(squares) + parts)


def _numbered(names: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)
