""""""

import numpy as np
import pytest

from rooftop.data.sources import MixedSource, take
from rooftop.errors import DataError


class Plain:
    """A source of pictures that hold their own number."""

    def __init__(self, names, categories=1):
        self.names, self.categories = names, ("roof",) * categories
        self.sizes = np.tile(np.array([[4, 6]], np.int32), (len(names), 1))

    def picture(self, i):
        return np.full((4, 6, 3), i, np.uint8)

    def truth(self, i):
        mask = np.zeros((len(self.categories), 4, 6), np.uint8)
        mask[-1, 0, i] = 1
        return mask, np.ones((4, 6), bool)


def rule(**changes):
    return {"match": None, "skip": [], "gsd": 0.3, "weight": 1.0, **changes}


def test_parts_keep_their_pictures_distance_and_share():
    one, two = Plain(["a_1.jpg", "a_2.jpg", "b_1.jpg"]), Plain(["x.png"], categories=2)
    mix = MixedSource(
        {"one": take(one, rule(match="a_", weight=3), "one"), "two": take(two, rule(gsd=0.5, weight=1), "two")}
    )
    assert mix.names == ["one/a_1.jpg", "one/a_2.jpg", "two/x.png"]
    np.testing.assert_allclose(mix.gsds, [0.3, 0.3, 0.5])
    np.testing.assert_allclose(mix.shares, [3 / 8, 3 / 8, 1 / 4])
    assert mix.picture(1).max() == 1
    assert mix.truth(2)[0].shape == (1, 4, 6)
    assert mix.truth(2)[0].sum() == 1


def test_left_out_pictures_are_left_out_and_have_to_exist():
    source = Plain(["a.jpg", "b.jpg"])
    assert take(source, rule(skip=["a"]), "p").picks.tolist() == [1]
    with pytest.raises(DataError, match=r"data\.mix\.p\.skip: there is no picture c"):
        take(source, rule(skip=["c"]), "p")
    with pytest.raises(DataError, match="no picture fits match=z"):
        take(source, rule(match="z"), "p")
