"""Differences over seeds: mean and spread of repeated trainings, and Welch's t-test between two configurations.

A training repeated with another seed gives another score. Two configurations differ if their scores differ by more than
this. Welch's t-test (Welch 1947, "The generalization of 'Student's' problem when several different population variances
are involved") compares two means whose spreads may differ; Colas, Sigaud and Oudeyer 2019, "A Hitchhiker's Guide to
Statistical Comparisons of Reinforcement Learning Algorithms", recommend it for few seeds. It assumes scores that are
roughly normal, and says nothing about other pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from rooftop.metrics.bootstrap import LEVEL, Interval

FEWEST = 3  # seeds on each side for a test


class Welch(NamedTuple):
    """A difference of two means over seeds.

    Attributes:
        interval: 95 % interval of the difference.
        p: probability of a difference as large, or larger, if both means were equal.
    """

    interval: Interval
    p: float

    @property
    def certain(self) -> bool:
        """Whether the difference is more than chance at the level of the interval."""
        return self.p < 1 - LEVEL


def mean_and_spread(scores: Sequence[float]) -> tuple[float, float]:
    """Return the mean over seeds and their standard deviation (of a sample, n - 1); NaN for a single seed."""
    values = np.asarray(scores, dtype=np.float64)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def welch(one: Sequence[float], other: Sequence[float]) -> Welch | None:
    """Compare two configurations by their scores over seeds.

    Args:
        one: a score for each seed.
        other: of the other configuration; the seeds need not be the same.

    Returns:
        The difference one - other; None for fewer than three seeds on a side, an unknown score, or no spread at all.
    """
    sides = [np.asarray(scores, dtype=np.float64) for scores in (one, other)]
    known = all(np.isfinite(side).all() for side in sides)
    if min(map(len, sides)) < FEWEST or not known or all(np.ptp(side) == 0 for side in sides):
        return None
    gap = float(sides[0].mean() - sides[1].mean())
    errors = [side.var(ddof=1) / len(side) for side in sides]  # squared standard errors of the means
    error = math.sqrt(sum(errors))
    # degrees of freedom, Welch-Satterthwaite
    freedom = sum(errors) ** 2 / sum(e**2 / (len(side) - 1) for e, side in zip(errors, sides, strict=True))
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return Welch((gap - reach, gap + reach), float(2 * stdtr(freedom, -abs(gap) / error)))
