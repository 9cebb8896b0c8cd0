import numpy as np
import pytest

from rooftop.inference.canvas import NODATA, Canvas, at_least, stored
from rooftop.raster.windows import Window


def test_what_is_written_is_read_and_stays(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    canvas = Canvas(tmp_path / "c", (2, 9, 7), {"a": 1})
    canvas.write(Window(2, 5, 4, 3), values)
    canvas.commit(2)
    again = Canvas(tmp_path / "c", (2, 9, 7), {"a": 1})
    assert again.rows == 2
    assert np.array_equal(again.read(Window(2, 5, 4, 3)), values)
    assert not again.read(Window(0, 0, 7, 5)).any()


@pytest.mark.parametrize(("shape", "key"), [((2, 9, 8), {"a": 1}), ((2, 9, 7), {"a": 2})])
def test_another_task_begins_anew(tmp_path, shape, key):
    Canvas(tmp_path / "c", (2, 9, 7), {"a": 1}).commit(2)
    canvas = Canvas(tmp_path / "c", shape, key)
    assert canvas.rows == 0
    assert not canvas.read(Window(0, 0, 7, 9)).any()


def test_remove_leaves_nothing(tmp_path):
    Canvas(tmp_path / "c", (1, 3, 2), {}).remove()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("threshold", [0.005, 0.35, 0.5, 0.615, 0.995, 1.0])
def test_a_threshold_cuts_the_stored_value_where_it_cuts_the_float(threshold):
    rng = np.random.default_rng(0)
    near = np.float32(threshold) + np.float32(1e-7) * rng.integers(-3, 4, (1, 50, 70)).astype(np.float32)
    probability = np.clip(np.where(rng.random(near.shape) < 0.5, near, rng.random(near.shape)), 0, 1)
    probability = probability.astype(np.float32)
    values = stored(probability, np.ones((50, 70), bool))
    assert np.array_equal(values >= at_least(threshold), probability.astype(np.float64) >= threshold)


def test_no_data_is_marked():
    valid = np.array([[True, False]])
    assert stored(np.ones((2, 1, 2), np.float32), valid).tolist() == [[[200, NODATA]]] * 2
