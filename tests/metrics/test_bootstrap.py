import numpy as np
import pytest

from rooftop.metrics.bootstrap import compare, draws, interval, resample, rescore


def test_each_draw_has_as_many_pictures_as_there_are():
    drawn = list(draws(7, rounds=20, seed=0))
    assert len(drawn) == 20
    assert all(each.sum() == 7 and each.shape == (7,) for each in drawn)
    assert any((each != 1).any() for each in drawn)


def test_equal_seeds_draw_alike_and_others_do_not():
    one, again, other = (np.array(list(draws(9, rounds=5, seed=seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_sums_are_those_of_the_pictures_drawn():
    counts = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    sums = resample(counts, rounds=6, seed=3)
    expected = [[w @ counts[:, 0], w @ counts[:, 1]] for w in draws(3, rounds=6, seed=3)]
    assert sums.tolist() == expected


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    # The mean of n numbers of deviation s lies within 1.96 s / sqrt(n) in 95 of 100 cases.
    values = np.random.default_rng(0).normal(5, 2, 400)
    sums = resample(np.stack([values, np.ones(400)], axis=1), rounds=2000, seed=1)
    low, high = interval(sums[:, 0] / sums[:, 1])
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_one_picture_tells_nothing_of_others():
    assert interval(resample(np.array([[0.5]]), rounds=10, seed=0)[:, 0]) == (0.5, 0.5)


def test_draws_without_a_score_are_left_out():
    assert interval(np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert np.isnan(interval(np.array([np.nan]))).all()
    assert np.isnan(compare(np.array([np.nan]), np.array([1.0]))[1])


def test_scores_that_are_no_sums_are_scored_draw_by_draw():
    scored = rescore(lambda w: {"most": float(w.max())}, 5, rounds=8, seed=0)
    assert scored["most"].tolist() == [w.max() for w in draws(5, rounds=8, seed=0)]


def test_pairs_see_a_small_difference_that_intervals_hide():
    # Pictures differ widely, but the first system is better by about a hundredth on each.
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 1, 200)
    better = hard + rng.normal(0.01, 0.01, 200)
    one, other = (resample(v[:, None], rounds=1000, seed=7)[:, 0] / 200 for v in (better, hard))
    (low, high), higher = compare(one, other)
    assert 0 < low < 0.01 < high < 0.02
    assert higher == 1
    assert interval(one)[0] < interval(other)[1]  # alone, their intervals overlap


def test_a_system_against_itself_is_a_tie():
    same = np.array([0.1, 0.2])
    assert compare(same, same) == ((0.0, 0.0), 0.5)
