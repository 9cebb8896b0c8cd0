from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rooftop.raster.windows import Window, spans, tiles


def test_worked_example():
    first, second = spans(110, 64, 16)
    assert (first.start, second.start) == (0, 46)
    assert (first.first, first.last, first.end) == (0, 51, 59)
    assert (second.first, second.last, second.end) == (51, 110, 110)


@settings(max_examples=300)
@given(st.integers(1, 400), st.integers(1, 80), st.integers(0, 40))
def test_weights_are_an_exact_partition_of_unity(length, window, overlap):
    assume(2 * overlap <= window)
    total = np.zeros(length)
    for span in spans(length, window, overlap):
        inside = slice(span.start, span.start + len(span.weights))
        total[inside] += span.weights
        assert span.weights.min() >= 0
        assert not span.weights[: max(0, span.first - span.start)].any()
        assert not span.weights[span.end - span.start :].any()
    assert (total == 1).all()


@settings(max_examples=300)
@given(st.integers(1, 400), st.integers(1, 80), st.integers(0, 40))
def test_windows_stay_inside_overlap_enough_and_final_parts_tile_the_axis(length, window, overlap):
    assume(2 * overlap <= window)
    found = spans(length, window, overlap)
    size = min(window, length)
    assert found[0].start == 0
    assert found[-1].start + size == length
    assert all(b.start + overlap <= a.start + size for a, b in pairwise(found))
    assert [span.first for span in found[1:]] == [span.last for span in found[:-1]]
    assert all(span.start <= span.first < span.last <= span.end <= span.start + size for span in found)


@settings(max_examples=200)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_what_windows_agree_on_comes_back_bit_for_bit(length, seed):
    value = np.random.default_rng(seed).random((length, 7), dtype=np.float32)
    total = np.zeros((length, 7))
    for y in spans(length, 32, 15):
        for x in spans(7, 5, 2):
            rows, columns = (slice(s.start, s.start + len(s.weights)) for s in (y, x))
            total[rows, columns] += np.outer(y.weights, x.weights) * value[rows, columns]
    assert np.array_equal(total.astype(np.float32), value)


def test_the_rim_of_a_window_counts_for_nothing_where_it_has_a_neighbour():
    middle = spans(300, 64, 16)[2]
    assert not middle.weights[:4].any()
    assert not middle.weights[-4:].any()


@pytest.mark.parametrize("overlap", [-1, 33])
def test_an_overlap_that_cannot_be_is_refused(overlap):
    with pytest.raises(ValueError, match=f"overlap={overlap} must lie between 0 and half"):
        spans(100, 64, overlap)


def test_a_window_indexes_rows_first():
    assert np.zeros((5, 9))[Window(column=2, row=1, width=6, height=3).slices].shape == (3, 6)


def test_tiles_cover_each_pixel_once():
    count = np.zeros((7, 11), int)
    for tile in tiles(7, 11, 4):
        count[tile.slices] += 1
    assert (count == 1).all()
    assert [*tiles(7, 11, 4)][2] == Window(8, 0, 3, 4)
