import numpy as np
import pytest
from PIL import Image

from rooftop.raster.picture import read_mask


@pytest.fixture
def photo(tmp_path, town):
    """Save the town as a picture, perhaps of another mode or with transparency uint8 (H, W)."""

    def save(name="photo.png", mode="RGB", alpha=None):
        image = Image.fromarray(np.moveaxis(town, 0, -1)).convert(mode)
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        image.save(tmp_path / name)
        return tmp_path / name

    return save


def test_a_picture_of_unknown_pixel_size_is_measured_in_pixels(find, photo):
    """The run knows 0.3 m, of other pictures."""
    (row,) = find(photo())["pictures"]
    assert row["metres_per_pixel"] is None
    assert row["roof_px2"] == 12 * 150
    (row,) = find(photo(), gsd=0.5)["pictures"]
    assert row["roof_m2"] == pytest.approx(12 * 37.5)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_transparent_is_no_roof(find, photo, tmp_path, mode):
    alpha = np.full((80, 110), 255, np.uint8)
    alpha[:, :28] = 0
    (row,) = find(photo(mode=mode, alpha=alpha))["pictures"]
    assert row["roofs"] == 9
    assert row["valid_pixels"] == 80 * 82
    assert not read_mask(tmp_path / "out" / "masks" / "photo.png")[:, :28].any()
