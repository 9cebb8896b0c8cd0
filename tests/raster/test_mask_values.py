"""Masks as other programs write them: read right, or refused with the values found."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from rooftop.errors import ConfigError, DataError
from rooftop.raster.mask_values import MaskValues
from rooftop.raster.picture import read_mask, read_mask_with_valid, settle_mask_values
from rooftop.raster.scene import unplaced

ROOF = np.zeros((48, 80), bool)
ROOF[4:20, 6:30] = ROOF[26:40, 6:50] = True
NUMBERS = np.zeros((48, 80), np.int32)
NUMBERS[4:20, 6:30], NUMBERS[26:40, 6:50] = 5, 300
IGNORED = np.zeros((48, 80), bool)
IGNORED[:, 70:] = True
VOC = np.where(IGNORED, 255, ROOF).astype(np.uint8)


def save(path, values, **options):
    if path.suffix == ".tif":
        bands = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
        form = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": values.dtype}
        with unplaced(), rasterio.open(path, "w", driver="GTiff", **form, **options) as dataset:
            dataset.write(bands)
    else:
        Image.fromarray(values).save(path, **options)
    return path


def in_colours(roof, ground):
    return np.where(ROOF[..., None], np.uint8(roof), np.uint8(ground))


@pytest.mark.parametrize(
    ("name", "values", "options"),
    [
        ("1.png", ROOF, {}),
        ("255.png", np.uint8(255) * ROOF, {}),
        ("ones.png", ROOF.astype(np.uint8), {}),
        ("bits.tif", ROOF.astype(np.uint8), {"nbits": 1}),
        ("nibbles.tif", np.uint8(15) * ROOF, {"nbits": 4}),
        ("nibble_ones.tif", ROOF.astype(np.uint8), {"nbits": 4}),
        ("white.tif", np.uint8(255) * ~ROOF, {"photometric": "miniswhite"}),
        ("nodata.tif", np.uint8(255) * ROOF, {"nodata": 0}),
        ("double.tif", ROOF.astype(np.float64), {}),
        ("double255.tif", 255.0 * ROOF, {}),
        ("int32.tif", ROOF.astype(np.int32), {}),
        ("int16.png", 255 * ROOF.astype(np.uint16), {}),
        ("grey_rgb.png", in_colours((255, 255, 255), (0, 0, 0)), {}),
        ("opaque.png", np.dstack([in_colours((255, 255, 255), (0, 0, 0)), np.full(ROOF.shape, 255, np.uint8)]), {}),
        ("lossy.jpg", np.uint8(255) * ROOF, {"quality": 80}),
    ],
)  # fmt: skip
def test_usual_forms_are_read(tmp_path, name, values, options):
    assert np.array_equal(read_mask(save(tmp_path / name, values, **options)), ROOF)


@pytest.mark.parametrize("kind", ["grey", "palette"])
def test_255_beside_1_is_not_judged(tmp_path, kind):
    image = Image.fromarray(VOC)
    if kind == "palette":  # as labelme writes Pascal VOC
        image.putpalette([0, 0, 0, 128, 0, 0] + [0, 0, 0] * 253 + [224, 224, 192])
    image.save(tmp_path / "m.png")
    mask, valid = read_mask_with_valid(tmp_path / "m.png")
    assert np.array_equal(mask, ROOF)
    assert np.array_equal(valid, ~IGNORED)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("numbers8.png", (NUMBERS // 2).astype(np.uint8), "0, 2, 150"),
        ("numbers16.png", NUMBERS.astype(np.uint16), "0, 5, 300"),
        ("numbers32.tif", NUMBERS, "0, 5, 300"),
        ("soft.png", (255 * ROOF + 90 * IGNORED).astype(np.uint8), "0, 90, 255"),
        ("no_ground.png", np.where(ROOF, 1, 255).astype(np.uint8), "1, 255"),
        ("red.png", in_colours((255, 0, 0), (0, 0, 0)), r"\[0,0,0\], \[255,0,0\]"),
        ("blue.png", in_colours((0, 0, 255), (255, 255, 255)), r"\[0,0,255\], \[255,255,255\]"),
    ],
)  # fmt: skip
def test_other_values_are_refused_with_those_found(tmp_path, name, values, found):
    with pytest.raises(DataError, match=rf"{name}: holds the (values|colours) {found}; .*data\.roof_values="):
        read_mask(save(tmp_path / name, values))


def test_a_mask_in_its_transparency_and_fractions_are_refused(tmp_path):
    alpha = np.dstack([np.zeros((*ROOF.shape, 3), np.uint8), np.uint8(255) * ROOF])
    with pytest.raises(DataError, match=r"alpha\.png: has transparent pixels.*gdal_translate -b 4"):
        read_mask(save(tmp_path / "alpha.png", alpha))
    with pytest.raises(DataError, match=r"half\.tif: holds fractions"):
        read_mask(save(tmp_path / "half.tif", 0.5 * ROOF))
    with pytest.raises(DataError, match=r"deep\.tif: has colours of more than 8 bits"):
        read_mask(save(tmp_path / "deep.tif", in_colours((255, 0, 0), (0, 0, 0)).astype(np.uint16)))
    with pytest.raises(DataError, match=r"nan\.tif: holds fractions, or no numbers"):
        read_mask(save(tmp_path / "nan.tif", np.where(ROOF, np.nan, 1.0)))


@pytest.mark.parametrize(
    ("name", "values", "roof", "ignored"),
    [
        ("numbers.png", NUMBERS.astype(np.uint16), "nonzero", None),
        ("numbers.tif", NUMBERS, [5, 300], None),
        ("soft.png", (200 * ROOF + 90 * IGNORED).astype(np.uint8), "bright", None),
        ("classes.png", (2 * ROOF + 4 * IGNORED).astype(np.uint8), [2], None),
        ("ignored.png", np.where(IGNORED, 255, 2 * ROOF).astype(np.uint8), [2], [255]),
        ("ground255.tif", np.where(ROOF, 1, 255).astype(np.uint8), [1], []),
        ("red.png", in_colours((255, 0, 0), (0, 0, 0)), [[255, 0, 0]], None),
        ("isprs.png", in_colours((0, 0, 255), (255, 255, 255)), [[0, 0, 255], [1, 2, 3]], [[9, 9, 9]]),
    ],
)  # fmt: skip
def test_named_values_are_read(tmp_path, name, values, roof, ignored):
    mask, valid = read_mask_with_valid(save(tmp_path / name, values), MaskValues.of(roof, ignored))
    assert np.array_equal(mask, ROOF)
    assert valid is None if not ignored or name == "isprs.png" else np.array_equal(valid, ~IGNORED)


def test_255_beside_named_values_must_be_decided(tmp_path):
    path = save(tmp_path / "m.png", np.where(IGNORED, 255, 2 * ROOF).astype(np.uint8))
    with pytest.raises(DataError, match=r"holds 255 beside data\.roof_values=\[2\]; set data\.ignored_values=\[255\]"):
        read_mask_with_valid(path, MaskValues.of([2], None))


@pytest.mark.parametrize(
    ("roof", "ignored"), [("dark", None), ([1.5], None), ([True], None), ([[1, 2]], None), (1, None), (None, 3)]
)
def test_wrong_settings_are_named(roof, ignored):
    with pytest.raises(ConfigError, match=r"data\.(roof|ignored)_values="):
        MaskValues.of(roof, ignored)


def test_a_set_tells_what_255_means_in_a_mask_without_roof(tmp_path):
    only_ignored = save(tmp_path / "a.png", np.uint8(255) * IGNORED)
    paths = [only_ignored, save(tmp_path / "b.png", VOC)]
    mask, valid = read_mask_with_valid(only_ignored, settle_mask_values(paths, MaskValues()))
    assert not mask.any()
    assert np.array_equal(valid, ~IGNORED)


def test_a_set_without_one_roof_is_refused(tmp_path):
    paths = [save(tmp_path / f"{i}.png", np.zeros((48, 80), np.uint8)) for i in range(3)]
    with pytest.raises(DataError, match=r"no roof in any of its 3 masks; their values: 0; name those"):
        settle_mask_values(paths, MaskValues())
    with pytest.raises(DataError, match="no roof in any of its 1 masks; their values: 0, 2; name"):
        settle_mask_values([save(tmp_path / "m.png", (2 * ROOF).astype(np.uint8))], MaskValues.of([3], None))
