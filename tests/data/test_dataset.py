"""The truth of a small data set is drawn once, and is the same ever after."""

import numpy as np
import pytest

from rooftop.data import dataset
from rooftop.data.dataset import CachedTruth
from rooftop.errors import DataError

SIZES = np.array([[9, 13], [8, 16], [5, 3]], np.int32)


class Drawn:
    """A source that counts how often it draws; channel by channel in columns, as pycocotools does."""

    sizes = SIZES

    def __init__(self):
        self.asked = []
        random = np.random.default_rng(0)
        self.truths = [
            (random.integers(0, 2, (2, *size), dtype=np.uint8), random.random(size) < 0.8) for size in SIZES.tolist()
        ]

    def truth(self, i):
        self.asked.append(i)
        mask, valid = self.truths[i]
        return mask.transpose(0, 2, 1).copy().transpose(0, 2, 1), valid


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def test_each_picture_is_drawn_once_and_stays_what_it_was():
    source = Drawn()
    truth = CachedTruth(source, np.arange(3))
    for at in (0, 1, 2, 2, 1, 0):
        assert_same(truth(at), source.truths[at])
    assert source.asked == [0, 1, 2]


def test_only_the_pictures_of_the_split_have_to_fit(monkeypatch):
    packed = 3 * 9 * 2  # two channels and valid, 9 lines of 13 px
    monkeypatch.setattr(dataset, "MOST", packed)
    source = Drawn()
    small, large = CachedTruth(source, np.array([0])), CachedTruth(source, np.array([0, 2]))
    for _ in range(2):
        assert_same(small(0), source.truths[0])
        assert_same(large(0), source.truths[0])
    assert source.asked == [0, 0, 0]  # once for the small split, each time for the large one


def test_a_picture_that_cannot_be_drawn_is_tried_again():
    source = Drawn()
    source.truth = lambda i: (_ for _ in ()).throw(DataError("mask.png: damaged; replace it."))
    truth = CachedTruth(source, np.arange(3))
    with pytest.raises(DataError, match="damaged"):
        truth(0)
    del source.truth
    assert_same(truth(0), source.truths[0])
