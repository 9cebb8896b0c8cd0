""""""

import numpy as np
import pytest

from rooftop.raster.probability import NODATA, at_least, stored


@pytest.mark.parametrize("threshold", [0.005, 0.35, 0.5, 0.615, 0.995, 1.0])
def test_a_threshold_cuts_the_stored_value_where_it_cuts_the_float(threshold):
    rng = np.random.default_rng(0)
    near = np.float32(threshold) + np.float32(1e-7) * rng.integers(-3, 4, (1, 50, 70)).astype(np.float32)
    probability = np.clip(np.where(rng.random(near.shape) < 0.5, near, rng.random(near.shape)), 0, 1)
    probability = probability.astype(np.float32)
    values = stored(probability, np.ones((50, 70), bool))
    assert np.array_equal(at_least(values, threshold), probability.astype(np.float64) >= threshold)


def test_no_data_is_marked():
    valid = np.array([[True, False]])
    assert stored(np.ones((2, 1, 2), np.float32), valid).tolist() == [[[200, NODATA]]] * 2


def test_no_data_is_no_roof():
    assert at_least(np.array([[0, 99, 100, 200, NODATA]], np.uint8), 0.5).tolist() == [[0, 0, 1, 1, 0]]
