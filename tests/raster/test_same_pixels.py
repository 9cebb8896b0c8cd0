"""Training, audit and evaluation read a file by `PlainReading`, prediction also by window: the same pixels."""

import io
import zlib
from pathlib import Path
from struct import pack

import numpy as np
import pytest
import rasterio
from PIL import Image

from rooftop.errors import DataError
from rooftop.raster.picture import read_size
from rooftop.raster.reading import PlainReading
from rooftop.raster.scene import open_scene, unplaced
from rooftop.raster.windows import Window

HEIGHT, WIDTH = 40, 64
GREY = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
BANDS = np.moveaxis(RGB, -1, 0)
FOUR = np.concatenate([BANDS, GREY[None]])


def tiff(values, **options):
    values = values if values.ndim == 3 else values[None]
    with unplaced(), rasterio.MemoryFile() as file:
        form = {"height": HEIGHT, "width": WIDTH, "count": len(values), "dtype": values.dtype, "driver": "GTiff"}
        with file.open(**form, **options) as dataset:
            dataset.write(values)
        return bytes(file.getbuffer())


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(depth):
    """Return a grey PNG of the highest `depth` bits of GREY."""
    rows = np.unpackbits((GREY >> (8 - depth))[..., None], axis=2)[..., -depth:].reshape(HEIGHT, -1)
    raw = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)

    def chunk(name, content):
        return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))

    header = pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def as_grey(values):
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


def level(depth):
    """GREY at `depth` bits, on the scale of 0 to 255."""
    return np.rint((GREY >> (8 - depth)).astype(float) * 255 / (2**depth - 1))


PALETTE = Image.fromarray(RGB).quantize(16)
FILES = {
    "grey.png": (saved(Image.fromarray(GREY), "PNG"), as_grey(GREY)),
    "rgb.png": (saved(Image.fromarray(RGB), "PNG"), RGB),
    "palette.png": (saved(PALETTE, "PNG", bits=4), np.asarray(PALETTE.convert("RGB"))),
    "grey1.png": (png(1), as_grey(level(1))),
    "grey2.png": (png(2), as_grey(level(2))),
    "grey4.png": (png(4), as_grey(level(4))),
    "rgb.tif": (tiff(BANDS, photometric="rgb"), RGB),
    "grey.tif": (tiff(GREY), as_grey(GREY)),
    "grey1.tif": (tiff(GREY >> 7, nbits=1), as_grey(level(1))),
    "grey4.tif": (tiff(GREY >> 4, nbits=4), as_grey(level(4))),
    "white1.tif": (tiff(GREY >> 7, nbits=1, photometric="miniswhite"), as_grey(255 - level(1))),
    "white4.tif": (tiff(GREY >> 4, nbits=4, photometric="miniswhite"), as_grey(255 - level(4))),
    "white8.tif": (tiff(GREY, photometric="miniswhite"), as_grey(255 - GREY)),
    "palette.tif": (saved(PALETTE, "TIFF"), np.asarray(PALETTE.convert("RGB"))),
    "near_infrared.tif": (tiff(FOUR, photometric="rgb", alpha="unspecified"), RGB),
    "cmyk.tif": (saved(Image.fromarray(RGB).convert("CMYK"), "TIFF"), RGB),
    "webp.tif": (tiff(BANDS, compress="webp", webp_lossless=True), RGB),
    "wavelet.jp2": (saved(Image.fromarray(RGB), "JPEG2000"), RGB),
    "picture.webp": (saved(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
}
LOSSY = {
    "grey.jpg": saved(Image.fromarray(GREY), "JPEG"),
    "cmyk.jpg": saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "jpeg.tif": tiff(BANDS, compress="jpeg", photometric="ycbcr"),
}
HOLES = {
    "alpha.png": (saved(Image.fromarray(np.dstack([RGB, GREY])), "PNG"), RGB, GREY > 0),
    "grey_alpha.png": (
        saved(Image.fromarray(np.dstack([GREY, 255 * (GREY > 99)]).astype(np.uint8)), "PNG"),
        None,
        GREY > 99,
    ),
    "transparent.png": (saved(Image.fromarray(GREY), "PNG", transparency=7), as_grey(GREY), GREY != 7),
    "alpha.tif": (tiff(FOUR, photometric="rgb", alpha="yes"), RGB, GREY > 0),
    "nodata.tif": (tiff(GREY, nodata=7), as_grey(GREY), GREY != 7),
}
MORE_BITS = {
    "grey16.png": (saved(Image.fromarray(GREY.astype(np.uint16) * 256), "PNG"), r"\[1\]"),
    "rgb16.tif": (tiff(BANDS.astype(np.uint16) * 9, photometric="rgb"), r"\[1,2,3\]"),
    "rgb12.tif": (tiff(BANDS.astype(np.uint16) * 9, photometric="rgb", nbits=12), r"\[1,2,3\]"),
    "white16.tif": (tiff(GREY.astype(np.uint16), photometric="miniswhite"), r"\[1\]"),
    "signed.tif": (tiff(GREY.astype(np.int8)), r"\[1\]"),
    "real.tif": (tiff(GREY / np.float32(255)), r"\[1\]"),
}


def written(folder, name, content):
    path = Path(folder) / name
    path.write_bytes(content)
    return path


def read_both(path):
    """Read by both ways; returns picture and valid of a data set, and of a scene."""
    reading = PlainReading()
    picture, valid = reading.picture(path), reading.valid(path)
    assert reading.size(path) == picture.shape[:2]
    with open_scene(str(path)) as scene:
        shown, known = scene.read(Window(0, 0, scene.width, scene.height))
    return picture, np.ones(picture.shape[:2], bool) if valid is None else valid, shown, known


@pytest.mark.parametrize("name", FILES)
def test_every_way_reads_the_pixels_of_the_file(tmp_path, name):
    content, expected = FILES[name]
    picture, valid, shown, known = read_both(written(tmp_path, name, content))
    assert np.array_equal(picture, expected)
    assert np.array_equal(shown, expected)
    assert valid.all()
    assert known.all()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_are_decoded_alike(tmp_path, name):
    picture, _, shown, _ = read_both(written(tmp_path, name, LOSSY[name]))
    assert np.array_equal(picture, shown)


def test_a_colour_jpeg_differs_by_the_decoders_interpolation_of_colours_only():
    picture, _, shown, _ = read_both(next(Path("data/banepa/images/test").glob("*.jpg")))
    difference = np.abs(picture.astype(int) - shown)
    assert difference.mean() < 1
    assert np.abs(picture.mean((0, 1)) - shown.mean((0, 1))).max() < 0.5


@pytest.mark.parametrize("name", HOLES)
def test_pixels_without_data_are_black_and_not_valid(tmp_path, name):
    content, expected, has_data = HOLES[name]
    picture, valid, shown, known = read_both(written(tmp_path, name, content))
    assert np.array_equal(picture, (as_grey(GREY) if expected is None else expected) * has_data[..., None])
    assert np.array_equal(shown, picture)
    assert np.array_equal(valid, has_data)
    assert np.array_equal(known, has_data)


@pytest.mark.parametrize("name", MORE_BITS)
def test_more_than_8_bits_are_refused_without_bands(tmp_path, name):
    content, bands = MORE_BITS[name]
    path = written(tmp_path, name, content)
    assert read_size(path) == (HEIGHT, WIDTH)
    with pytest.raises(DataError, match=rf"{name}: has more than 8 bits; .* data\.bands={bands}, or"):
        PlainReading().picture(path)


def test_16_bit_min_is_white_is_stretched_the_right_way_round(tmp_path):
    path = written(tmp_path, "white16.tif", MORE_BITS["white16.tif"][0])
    with open_scene(str(path)) as scene:
        shown, _ = scene.read(Window(0, 0, WIDTH, HEIGHT))
    assert shown[GREY < 3].min() == 255
    assert shown[GREY > 252].max() == 0


def test_a_picture_that_names_other_files_is_refused(tmp_path):
    inside = written(tmp_path, "secret.png", FILES["rgb.png"][0])
    path = tmp_path / "picture.png"
    path.write_text(
        f'<VRTDataset rasterXSize="64" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{inside}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(DataError, match=r"picture\.png: not a picture that can be read"):
        PlainReading().picture(path)
