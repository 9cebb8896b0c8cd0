import io

import numpy as np
import pytest
from PIL import Image

from rooftop.errors import DataError
from rooftop.raster.jpeg import decode_jpeg
from rooftop.raster.picture import read_picture

MOST = 10**6


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 20, 3)).astype(np.uint8)).resize((611, 371))
    return Image.fromarray((np.asarray(smooth) * 0.8 + rng.integers(0, 50, (371, 611, 3))).astype(np.uint8))


def saved(image, **settings):
    content = io.BytesIO()
    image.save(content, "JPEG", **settings)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_those_of_pillow(image, mode, subsampling, progressive):
    for quality in (30, 75, 95):
        content = saved(image.convert(mode), quality=quality, subsampling=subsampling, progressive=progressive)
        with Image.open(io.BytesIO(content)) as same:
            np.testing.assert_array_equal(decode_jpeg(content, most=MOST), np.asarray(same.convert("RGB")))


def test_what_is_in_doubt_is_left_to_the_other_decoder(image):
    content = saved(image)
    assert decode_jpeg(content[: len(content) // 2], most=MOST) is None
    assert decode_jpeg(content[:-2], most=MOST) is None
    assert decode_jpeg(content[:30], most=MOST) is None
    assert decode_jpeg(content, most=371 * 611 - 1) is None
    assert decode_jpeg(saved(image.convert("CMYK")), most=MOST) is None
    assert decode_jpeg(b"\xff\xd8\xff" + bytes(100), most=MOST) is None
    assert decode_jpeg(b"", most=MOST) is None


def test_truncated_and_unusual_files_end_as_before(image, tmp_path):
    path = tmp_path / "a.jpg"
    content = saved(image)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.jpg: truncated or damaged"):
        read_picture(path)
    path.write_bytes(saved(image.convert("CMYK")))
    assert read_picture(path).shape == (371, 611, 3)
    image.save(path, "PNG")
    np.testing.assert_array_equal(read_picture(path), np.asarray(image))
