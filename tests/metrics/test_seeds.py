"""Mean, spread and Welch's t-test over seeds."""

import math

import pytest
from scipy.stats import t, ttest_ind

from rooftop.metrics.seeds import mean_and_spread, welch


def test_welch_as_by_hand():
    """Means 2 and 6, variances 1 and 4: t = -4 / sqrt(1/3 + 4/3) with (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17 dof."""
    found = welch([1, 2, 3], [4, 6, 8])
    error, freedom = math.sqrt(5 / 3), 50 / 17
    assert found.p == pytest.approx(2 * t.cdf(-4 / error, freedom))
    reach = t.ppf(0.975, freedom) * error
    assert found.interval == pytest.approx((-4 - reach, -4 + reach))
    assert found.certain == (found.interval[1] < 0) == (found.p < 0.05)
    reference = ttest_ind([1, 2, 3], [4, 6, 8], equal_var=False)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.interval == pytest.approx(reference.confidence_interval(0.95))


def test_a_clear_difference_is_more_than_chance_and_equal_means_are_not():
    assert welch([0.70, 0.71, 0.72], [0.60, 0.61, 0.62]).certain
    assert not welch([0.70, 0.71, 0.72], [0.72, 0.71, 0.70]).certain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([0.7, 0.71], [0.6, 0.61, 0.62]),  # two seeds
        ([0.7, 0.71, 0.72], [0.6]),
        ([0.7, 0.7, 0.7], [0.6, 0.6, 0.6]),  # no spread at all
        ([0.7, 0.71, math.nan], [0.6, 0.61, 0.62]),
    ],
)
def test_what_cannot_be_judged(one, other):
    assert welch(one, other) is None


def test_mean_and_spread_of_a_sample():
    assert mean_and_spread([1, 2, 3]) == (2, 1)
    mean, spread = mean_and_spread([0.5])
    assert mean == 0.5
    assert math.isnan(spread)
