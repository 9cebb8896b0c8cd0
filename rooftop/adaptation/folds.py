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
    neighbours, which look alike, are never on both sides.

    Args:
        squares: in one frame.
        weights: of each square, such as the number of its roofs.
        folds: K, the largest number of folds.

    Returns:
        int64 (N,), the fold of each square, from 0; fewer than K folds if there are fewer groups.
    """
    groups = _touching(squares)
    load = np.zeros(min(folds, groups.max(initial=-1) + 1))
    sizes = np.bincount(
        groups, weights=np.asarray(weights, dtype=np.float64) + 1.0
    )  # a square without roofs counts too
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
    return np.unique(group, return_inverse=True)[1].astype(np.int64)
