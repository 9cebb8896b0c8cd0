"""A mask comes back as it went in, by the PNG readers that others use."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from rooftop.raster.picture import read_mask, write_mask
from rooftop.raster.png import encode_mask


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 70)), elements=st.integers(0, 1)))
def test_every_reader_sees_the_same(mask):
    text = encode_mask(mask)
    image = Image.open(io.BytesIO(text))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), mask * 255)
    assert np.array_equal(cv2.imdecode(np.frombuffer(text, np.uint8), cv2.IMREAD_UNCHANGED), mask * 255)


@pytest.mark.parametrize("order", ["C", "F"])
def test_on_disk(tmp_path, order):
    mask = np.asarray(np.random.default_rng(0).integers(0, 2, (48, 80), np.uint8), order=order)
    write_mask(tmp_path / "new" / "mask.png", mask)
    assert np.array_equal(read_mask(tmp_path / "new" / "mask.png"), mask)
