"""Uncertainty of scores: bootstrap over pictures, alone and in pairs.

Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13: draw N of the N pictures with replacement,
score again, repeat, and take the middle 95 % of the scores. A picture is drawn as a whole, so dependence within a
picture is respected. Pictures of one place resemble each other: for other places the interval is too narrow.

Two systems are compared on the same draws: the difficulty of a picture cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]  # (N,), how often each picture was drawn
Interval = tuple[float, float]

LEVEL = 0.95
FEWEST_PICTURES = 20  # of fewer, intervals of percentiles are far too narrow (Hesterberg 2015, Am. Stat. 69, 371-386)


def draws(pictures: int, *, rounds: int, seed: int) -> Iterator[Weights]:
    """Draw `pictures` out of `pictures` with replacement, again and again; equal seeds draw alike."""
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.bincount(generator.integers(pictures, size=pictures), minlength=pictures)


def resample(counts: Floats, *, rounds: int, seed: int) -> Floats:
    """Sum the counts of each draw.

    Args:
        counts: (N, M), M counts of each of N pictures.
        rounds: number of draws.
        seed: of the draws.

    Returns:
        float64 (rounds, M); a score made of sums can be computed from each row.
    """
    return np.array([drawn @ counts for drawn in draws(len(counts), rounds=rounds, seed=seed)])


def rescore(
    score: Callable[[Weights], Mapping[str, float]], pictures: int, *, rounds: int, seed: int
) -> dict[str, Floats]:
    """Score each of 1 or more draws anew, for scores other than sums, as average precision: (rounds,) by name."""
    scored = [score(drawn) for drawn in draws(pictures, rounds=rounds, seed=seed)]
    return {name: np.array([each[name] for each in scored]) for name in scored[0]}


def interval(values: Floats, *, level: float = LEVEL) -> Interval:
    """Take the middle `level` of resampled scores without NaN; NaN if none is left."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(one: Floats, other: Floats, *, level: float = LEVEL) -> tuple[Interval, float]:
    """Compare two systems on the same draws.

    Args:
        one: scores of a system, (rounds,).
        other: scores of another system on the same pictures with the same seed.
        level: of the interval.

    Returns:
        Interval of one - other, and the share of draws with `one` higher; a tie counts half.
    """
    differences = one - other
    known = differences[~np.isnan(differences)]
    higher = float(np.mean((known > 0) + 0.5 * (known == 0))) if known.size else float("nan")
    return interval(differences, level=level), higher
