"""Tiles cover the raster, and strips keep the ground of the splits apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooftop.tiling.grid import split_of, strips, windows


@given(st.integers(1, 90), st.integers(1, 130), st.integers(1, 40), st.integers(0, 39))
def test_every_pixel_is_covered_by_a_whole_tile(height, width, size, overlap):
    overlap = min(overlap, size - 1)
    seen = np.zeros((height, width), int)
    for window in windows(height, width, size=size, overlap=overlap):
        assert (window.height, window.width) == (min(size, height), min(size, width))
        seen[window.slices] += 1
    assert seen.shape == (height, width)
    assert seen.min() >= 1


def test_without_overlap_a_fitting_raster_is_cut_exactly():
    found = [(w.row, w.column) for w in windows(40, 60, size=20, overlap=0)]
    assert found == [(r, c) for r in (0, 20) for c in (0, 20, 40)]


def test_strips_begin_where_tiles_begin():
    assert strips(100, 10, {"train": 0.72, "val": 0.13, "test": 0.15}) == {
        "train": (0, 70),
        "val": (70, 80),
        "test": (80, 100),
    }
    assert strips(95, 10, {"train": 1.0}) == {"train": (0, 95)}
    assert strips(20, 20, {"train": 0.9, "val": 0.1}) == {"train": (0, 20)}


@pytest.mark.parametrize("is_along_rows", [True, False])
def test_a_tile_across_a_border_is_in_no_split(is_along_rows):
    strip = {"train": (0, 25), "val": (25, 60)}
    length = {True: (60, 20), False: (20, 60)}[is_along_rows]
    owners = [split_of(w, strip, is_along_rows=is_along_rows) for w in windows(*length, size=20, overlap=0)]
    assert owners == ["train", None, "val"]
