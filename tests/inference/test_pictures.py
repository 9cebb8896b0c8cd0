import numpy as np
import pytest
import rasterio
from PIL import Image

from rooftop.errors import SourceError
from rooftop.inference import Predictor
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


def test_bands_of_a_picture_are_looked_at_or_refused(find, photo, town, tmp_path):
    town[1:] = 0
    assert find(photo())["roofs"] == 0
    assert find(photo(), bands=(1,))["roofs"] == 12
    with pytest.raises(SourceError, match=r"photo\.png: bands=\[9, 9, 9, 7\] must be one or three of its bands 1 to 3"):
        find(photo(), bands=(9, 9, 9, 7))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_tiff_of_five_bands_asks_for_the_key_that_reads_it(find, town, tmp_path):
    path = tmp_path / "five.tif"
    profile = {"count": 5, "height": 80, "width": 110, "dtype": "uint8", "photometric": "minisblack"}
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        dataset.write(np.concatenate([town, town[:2]]))
    with pytest.raises(SourceError, match=r"none of its 5 bands is marked red, green or blue; .* bands=\[1,2,5\]"):
        find(path)
    assert find(path, bands=(1, 2, 3))["roofs"] == 12


def test_a_tiff_in_printing_colours_stays_a_picture(find, photo):
    assert find(photo("ink.tif", mode="CMYK"))["roofs"] == 12


def test_a_damaged_tiff_is_one_sentence(find, tmp_path):
    (tmp_path / "broken.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(SourceError, match=r"broken\.tif: cannot be read .*; download or copy it again"):
        find(tmp_path / "broken.tif")


def test_a_reference_system_for_a_picture_without_corners_is_refused(find, photo):
    with pytest.raises(SourceError, match=r"crs=EPSG:32645 cannot place it: it has no corners on a map; leave crs out"):
        find(photo(), crs="EPSG:32645")


def test_a_picture_scaled_beyond_memory_is_one_sentence(find, photo):
    with pytest.raises(
        SourceError, match=r"photo\.png: gsd=60 would scale it to 22000 x 16000 px for a run trained at 0\.3 m"
    ):
        find(photo(), gsd=60)
    assert find(photo(), gsd=60, rescale=False)["roofs"] == 12


@pytest.fixture
def seen(monkeypatch):
    """Sizes of the pictures that the network sees."""
    sizes, forward = [], Predictor.forward
    monkeypatch.setattr(
        Predictor, "forward", lambda self, batch: sizes.append(batch.shape[1:3]) or forward(self, batch)
    )
    return sizes


def test_a_picture_scaled_beyond_one_pass_is_cut_into_the_windows_that_were_asked_for(find, photo, seen):
    find(photo(), gsd=6.9, window=1000, batch=1)
    assert {*seen} == {(989, 989)}, "43 px of the picture, as many as fit into 1000"


def test_a_picture_of_more_than_one_pass_is_cut_into_windows_on_a_cpu(find, tmp_path, seen):
    values = np.zeros((300, 500, 3), np.uint8)
    values[40:80, 60:120] = values[250:290, 400:480] = 255
    Image.fromarray(values).save(tmp_path / "photo.png")
    usual = {"window": None, "overlap": 96, "batch": None}
    for gsd, size in ((0.3, (300, 500)), (1.2, (768, 768))):
        seen.clear()
        (row,) = find(tmp_path / "photo.png", gsd=gsd, **usual)["pictures"]
        assert {*seen} == {size}
        assert row["roof_pixels"] == 40 * 60 + 40 * 80


@pytest.mark.parametrize(("views", "looks"), [("auto", 4), (None, 1), ("d4", 8)])
def test_how_often_the_network_looks_at_a_picture(find, photo, seen, views, looks):
    find(photo(), views=views)
    assert len(seen) == looks


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("how", ["value", "mask"])
def test_a_tiff_without_a_place_says_where_it_has_no_data(find, town, tmp_path, how):
    path, known = tmp_path / "half.tif", np.arange(110) >= np.full((80, 1), 28)
    pixels = np.where(known, np.maximum(town, 1), 255 if how == "mask" else 0).astype(np.uint8)
    profile = {"count": 3, "height": 80, "width": 110, "dtype": "uint8", "photometric": "rgb"}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", nodata=0 if how == "value" else None, **profile) as dataset,
    ):
        dataset.write(pixels)
        if how == "mask":
            dataset.write_mask(known)
    (row,) = find(path)["pictures"]
    assert row["valid_pixels"] == 80 * 82
    assert row["roofs"] == 9


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("profile", [{"photometric": "minisblack"}, {"photometric": "rgb", "compress": "lerc"}])
def test_a_tiff_that_only_gdal_knows_is_predicted(find, town, tmp_path, profile):
    shape = {"count": 3, "height": 80, "width": 110, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **shape, **profile) as dataset:
        dataset.write(town)
    assert find(tmp_path / "a.tif")["roofs"] == 12


def test_a_png_with_transparency_that_is_cut_short_is_named(find, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (150, 130, 4), dtype=np.uint8)
    Image.fromarray(noise, "RGBA").save(tmp_path / "noise.png")
    whole = (tmp_path / "noise.png").read_bytes()
    (tmp_path / "noise.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"noise\.png: cannot be read"):
        find(tmp_path / "noise.png")
