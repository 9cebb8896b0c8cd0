"""No orientation hides a copy, and no other picture is taken for one."""

import numpy as np
import pytest

from rooftop.audit import pictures
from rooftop.audit.pictures import find_pairs, groups

RNG = np.random.default_rng(0)


def digests(count):
    return np.arange(count * 16, dtype=np.uint64).astype(np.uint8).reshape(count, 16)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_every_orientation(turns, is_mirrored):
    small = RNG.integers(0, 255, (5, 16, 16)).astype(np.uint8)
    copy = np.rot90(small[3][:, ::-1] if is_mirrored else small[3], turns)
    pairs = find_pairs(digests(6), np.concatenate([small, copy[None]]), np.ones(6, bool))
    assert pairs.pair.tolist() == [[3, 5]]
    assert pairs.correlation[0] == pytest.approx(1, abs=1e-5)
    assert not pairs.is_exact[0]


def test_equal_pixels_point_to_the_first():
    small = RNG.integers(0, 255, (2, 16, 16)).astype(np.uint8)
    digest = digests(2)[[0, 1, 0, 0]]
    pairs = find_pairs(digest, small[[0, 1, 0, 0]], np.array([True, True, True, True]))
    assert pairs.pair.tolist() == [[0, 2], [0, 3]]
    assert pairs.is_exact.all()
    assert groups(pairs, 4).tolist() == [0, 1, 0, 0]


def test_what_cannot_be_read_is_left_out():
    small = np.zeros((3, 16, 16), np.uint8)
    pairs = find_pairs(np.zeros((3, 16), np.uint8), small, np.zeros(3, bool))
    assert len(pairs.pair) == 0
    assert groups(pairs, 3).tolist() == [0, 1, 2]


def test_the_search_misses_no_pair():
    """The same pairs as comparing all with all, on pictures that resemble one another to every degree."""
    base = RNG.normal(0, 40, (12, 1, 16, 16))
    mixed = base + RNG.normal(0, 1, (12, 9, 16, 16)) * np.linspace(0, 12, 9)[None, :, None, None]
    small = np.clip(mixed.reshape(-1, 16, 16) + 128, 0, 255).astype(np.uint8)
    found = {tuple(pair) for pair in find_pairs(digests(108) ^ small[:, 0, :], small, np.ones(108, bool)).pair.tolist()}
    cells = pictures._normalised(small)
    best = np.max([np.einsum("aij,bij->ab", cells, turned) / 256 for turned in pictures._orientations(cells)], axis=0)
    expected = {(int(a), int(b)) for a, b in np.argwhere(best >= pictures.NEAR) if a < b}
    assert found == expected
    assert 12 < len(expected) < 12 * 36
