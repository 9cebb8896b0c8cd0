"""Arrays come back from the file as they went in."""

import numpy as np
import pytest

from rooftop.coco.arrays import narrow, open_arena, write_arena


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([1, -128]), np.int8),
        (np.array([300]), np.int16),
        (np.array([40_000]), np.int32),
        (np.array([2**40]), np.int64),
        (np.array([1.0, -3.0]), np.int16),
        (np.array([40_000.0]), np.float32),
        (np.array([1.5, np.nan]), np.float32),
        (np.array([0.1]), np.float64),
        (np.array([1e300]), np.float64),
        (np.array([True]), np.bool_),
        (np.array([7], np.uint8), np.uint8),
        (np.array([], np.int64), np.int8),
    ],
)
def test_narrow_keeps_every_value(array, dtype):
    assert narrow(array).dtype == dtype
    assert np.array_equal(narrow(array), array, equal_nan=array.dtype.kind == "f")


def test_pieces_are_joined_in_a_type_that_holds_all(tmp_path):
    arrays = {
        "a": [np.zeros((0, 2), np.int16), np.array([[1, 2]], np.int16), np.array([[0.5, 0.25]], np.float32)],
        "empty": [np.zeros((0, 2), np.int8)],
        "b": [np.array([True, False])],
    }
    write_arena(tmp_path / "x.index", arrays, {"name": "ß", "list": [1, None]})
    back, meta = open_arena(tmp_path / "x.index")
    assert back["a"].tolist() == [[1, 2], [0.5, 0.25]]
    assert back["a"].dtype == np.float32
    assert back["empty"].shape == (0, 2)
    assert back["b"].tolist() == [True, False]
    assert meta == {"name": "ß", "list": [1, None]}
    assert not back["a"].flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == ["x.index"]
