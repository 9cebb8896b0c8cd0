from collections import Counter

import numpy as np
import pytest

from rooftop.data.sampling import EvaluationBatches, Key, TrainingBatches


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("length", [5, 12, 13])
def test_training_sees_every_picture_once_an_epoch_on_equally_many_batches(length, ranks):
    epoch = []
    counts = set()
    for rank in range(ranks):
        batches = TrainingBatches(length, 2, seed=0, rank=rank, ranks=ranks)
        mine = list(batches)
        assert len(mine) == len(batches)
        counts.add(len(mine))
        epoch += [key.picture for batch in mine for key in batch]
    assert len(counts) == 1
    seen = Counter(epoch)
    assert set(seen) == set(range(length))
    assert sum(seen.values()) - length < ranks


def test_epochs_differ_and_equal_seeds_repeat():
    def order(seed: int, epoch: int) -> list[list[Key]]:
        batches = TrainingBatches(20, 4, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 1) == order(0, 1)
    assert [[k.picture for k in b] for b in order(0, 1)] != [[k.picture for k in b] for b in order(0, 2)]
    assert order(0, 1) != order(1, 1)
    assert {key.epoch for batch in order(0, 7) for key in batch} == {7}


def test_overfitting_sees_the_same_pictures_in_every_epoch():
    batches = TrainingBatches(20, 4, seed=0, same=True)
    first = next(iter(batches))
    batches.set_epoch(7)
    assert next(iter(batches)) == first


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_evaluation_counts_5_pictures_at_batch_2_as_5(ranks):
    sizes = np.array([[48, 80], [48, 80], [32, 64], [48, 80], [32, 64]], np.int32)
    counted, lengths = [], set()
    for rank in range(ranks):
        batches = EvaluationBatches(sizes, 2, rank=rank, ranks=ranks)
        lengths.add(len(list(batches)))
        for batch in batches:
            assert len({tuple(sizes[key.picture]) for key in batch}) == 1
            counted += [key.picture for key in batch if key.counts]
    assert sorted(counted) == [0, 1, 2, 3, 4]
    assert len(lengths) == 1


def test_draws_come_round_after_round_or_by_share():
    batches = TrainingBatches(3, 2, seed=0, draws=7)
    keys = [key for batch in batches for key in batch]
    assert len(batches) == 4
    assert len(keys) == 7
    assert sorted(key.picture for key in keys[:6]) == [0, 0, 1, 1, 2, 2]
    assert [key.draw for key in keys] == list(range(7))
    shares = np.array([0.0, 0.25, 0.75])
    drawn = [key.picture for batch in TrainingBatches(3, 8, seed=0, draws=4000, shares=shares) for key in batch]
    counts = np.bincount(drawn, minlength=3) / 4000
    np.testing.assert_allclose(counts, shares, atol=0.03)


def test_fewer_pictures_than_ranks_are_repeated():
    batches = [list(TrainingBatches(3, 8, seed=0, rank=rank, ranks=8)) for rank in range(8)]
    assert {len(mine) for mine in batches} == {1}
    assert {key.picture for ((key,),) in batches} == {0, 1, 2}


def test_large_pictures_are_evaluated_few_at_a_time():
    sizes = np.array([[2000, 1000]] * 5 + [[5000, 5000]] * 2 + [[48, 80]] * 5, np.int32)
    lengths = {
        tuple(sizes[batch[0].picture].tolist()): len(batch) for batch in reversed([*EvaluationBatches(sizes, 4)])
    }
    assert lengths == {(2000, 1000): 2, (5000, 5000): 1, (48, 80): 4}
