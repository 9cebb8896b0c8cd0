""""""

import http.server
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from PIL import Image
from rasterio.enums import ColorInterp as Colour

from rooftop.errors import SourceError
from rooftop.raster.georeference import Georeference
from rooftop.raster.scene import files_of, is_scene, open_bands, open_scene, unplaced
from rooftop.raster.windows import Window
from rooftop.raster.write import Sheet, write_raster
from tests.raster.conftest import AFFINE

WHOLE = Window(0, 0, 53, 37)
PART = Window(column=11, row=5, width=20, height=13)


def read(path, window=WHOLE, **kwargs):
    with open_scene(path, **kwargs) as scene:
        return scene.read(window)


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 32}])
def test_a_window_is_the_same_part_of_the_picture(geotiff, rgb, layout):
    picture, valid = read(geotiff(rgb, **layout), PART)
    assert picture.shape == (13, 20, 3)
    assert picture.flags.c_contiguous or not layout
    assert np.array_equal(picture, np.moveaxis(rgb, 0, -1)[PART.slices])
    assert valid.all()


def test_size_and_place(geotiff, rgb):
    with open_scene(geotiff(rgb)) as scene:
        assert (scene.height, scene.width) == (37, 53)
        assert scene.georeference.name == "EPSG:32645"
        assert scene.georeference.metres_per_pixel(37, 53) == pytest.approx(0.3, rel=1e-3)


def test_one_band_is_grey(geotiff, rgb):
    picture, _ = read(geotiff(rgb[:1]))
    assert all(np.array_equal(picture[..., k], rgb[0]) for k in range(3))


def test_two_bands_are_grey_and_transparency(geotiff, rgb):
    alpha = np.where(np.arange(53) < 20, 0, 255).astype(np.uint8) * np.ones((37, 1), np.uint8)
    picture, valid = read(geotiff(np.stack([rgb[0], alpha]), colours=[Colour.gray, Colour.alpha]))
    assert np.array_equal(valid, alpha > 0)
    assert not picture[:, :20].any()
    assert np.array_equal(picture[:, 20:, 1], rgb[0][:, 20:])


def test_four_bands_are_colours_and_transparency(geotiff, rgb):
    alpha = np.zeros((1, 37, 53), np.uint8)
    alpha[:, 3:] = 255
    path = geotiff(np.concatenate([rgb, alpha]), colours=[Colour.red, Colour.green, Colour.blue, Colour.alpha])
    picture, valid = read(path)
    assert np.array_equal(valid, alpha[0] > 0)
    assert np.array_equal(picture[3:], np.moveaxis(rgb, 0, -1)[3:])


def test_four_bands_without_transparency_are_colours_and_infrared(geotiff, rgb):
    path = geotiff(np.concatenate([rgb, rgb[:1]]), photometric="rgb", alpha="unspecified")
    picture, valid = read(path)
    assert np.array_equal(picture, np.moveaxis(rgb, 0, -1))
    assert valid.all()


def test_colours_are_found_by_their_marks(geotiff, rgb):
    values = np.concatenate([rgb[:2], rgb])
    marks = [Colour.undefined, Colour.undefined, Colour.blue, Colour.green, Colour.red]
    picture, _ = read(geotiff(values, colours=marks))
    assert np.array_equal(picture, np.moveaxis(rgb[::-1], 0, -1))


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (2, "has two bands and neither is transparency"),
        (5, "none of its 5 bands is marked red, green or blue"),
    ],
)
def test_bands_that_nothing_names_are_asked_for(geotiff, rgb, count, sentence):
    path = geotiff(np.concatenate([rgb, rgb])[:count], photometric="minisblack")
    with pytest.raises(SourceError, match=sentence):
        read(path)
    picture, _ = read(path, bands=[2])
    assert np.array_equal(picture[..., 0], rgb[1])


@pytest.mark.parametrize("bands", [[0, 1, 2], [1, 2, 4], [1, 2]])
def test_bands_that_do_not_exist_are_refused(geotiff, rgb, bands):
    with pytest.raises(SourceError, match="must be one or three of its bands 1 to 3"):
        read(geotiff(rgb), bands=bands)


def test_nodata_is_where_every_band_says_so(geotiff, rgb):
    rgb[:, 4, 7] = 0
    rgb[0, 8, 9] = 0
    _, valid = read(geotiff(rgb, nodata=0))
    assert not valid[4, 7]
    assert valid.sum() == valid.size - 1


def test_a_band_that_is_not_looked_at_has_no_say_in_where_there_is_data(geotiff):
    """Infrared or heights may reach farther than the colours."""
    values = np.random.default_rng(0).integers(1, 2000, (4, 37, 53)).astype(np.int16)
    values[:3, :, :20] = -9999
    path = geotiff(values, nodata=-9999)
    picture, valid = read(path, bands=[1, 2, 3])
    assert np.array_equal(valid, np.tile(np.arange(53) >= 20, (37, 1)))
    assert not picture[~valid].any()
    assert read(path, bands=[4])[1].all()


def test_a_mask_inside_the_file_is_respected(geotiff, rgb):
    mask = np.random.default_rng(1).random((37, 53)) < 0.5
    picture, valid = read(geotiff(rgb, mask=mask))
    assert np.array_equal(valid, mask)
    assert not picture[~mask].any()


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32", "float64"])
def test_other_numbers_are_stretched_alike_in_every_window(geotiff, kind):
    ramp = np.linspace(-300 if kind == "int16" else 100, 4000, 37 * 53).reshape(1, 37, 53).repeat(3, 0)
    path = geotiff(ramp.astype(kind))
    picture, valid = read(path)
    part, _ = read(path, PART)
    assert valid.all()
    assert np.array_equal(part, picture[PART.slices])
    assert picture.min() == 0
    assert picture.max() == 255
    assert (np.diff(picture[..., 0].ravel().astype(int)) >= 0).all()


def test_not_a_number_is_no_data(geotiff, rgb):
    values = rgb.astype(np.float32)
    values[1, 2, 3] = np.nan
    picture, valid = read(geotiff(values))
    assert not valid[2, 3]
    assert valid.sum() == valid.size - 1
    assert not picture[2, 3].any()


@pytest.mark.parametrize("nodata", [0.0, np.nan])
def test_all_nodata_has_no_valid_pixel(geotiff, nodata):
    picture, valid = read(geotiff(np.full((3, 37, 53), nodata, np.float32), nodata=nodata))
    assert not valid.any()
    assert not picture.any()


def test_a_palette_gives_its_colours(tmp_path):
    index = np.random.default_rng(0).integers(0, 3, (37, 53), dtype=np.uint8)
    picture = Image.fromarray(index)
    picture.putpalette([1, 2, 3, 200, 30, 10, 7, 8, 9])
    picture.save(tmp_path / "a.png", transparency=0)
    picture, valid = read(str(tmp_path / "a.png"))
    assert np.array_equal(valid, index > 0)
    assert {tuple(colour) for colour in picture[index == 1].tolist()} == {(200, 30, 10)}


def test_an_index_beyond_the_palette_has_no_data(geotiff, tmp_path):
    index = np.tile(np.array([0, 1, 2, 300], np.uint16), (1, 5, 3))
    geotiff(index, name="index.tif")
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="12" rasterYSize="5"><VRTRasterBand dataType="UInt16" band="1">'
        "<ColorInterp>Palette</ColorInterp><ColorTable>"
        '<Entry c1="1" c2="2" c3="3" c4="255"/><Entry c1="200" c2="30" c3="10" c4="255"/></ColorTable>'
        '<SimpleSource><SourceFilename relativeToVRT="1">index.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    picture, valid = read(str(tmp_path / "a.vrt"), Window(0, 0, 12, 5))
    assert np.array_equal(valid, index[0] < 2)
    assert picture[0, :4].tolist() == [[1, 2, 3], [200, 30, 10], [0, 0, 0], [0, 0, 0]]


def test_complex_numbers_are_refused(geotiff, rgb):
    with pytest.raises(SourceError, match="complex numbers"):
        read(geotiff(rgb.astype(np.complex64)))


def test_without_reference_system_there_is_no_place(geotiff, rgb):
    with open_scene(geotiff(rgb, crs=None)) as scene:
        assert scene.georeference is None


def test_without_corners_there_is_no_place(geotiff, rgb):
    with unplaced():
        path = geotiff(rgb, transform=None)
        assert rasterio.open(path).crs, "the reference system alone is there"
    with open_scene(path) as scene:
        assert scene.georeference is None


def test_plain_pictures_and_vrt_open_too(geotiff, rgb, tmp_path):
    path = geotiff(rgb, crs=None)
    for name, driver in (("a.png", "PNG"), ("a.vrt", "VRT")):
        rasterio.shutil.copy(path, tmp_path / name, driver=driver)
        picture, _ = read(str(tmp_path / name), PART)
        assert np.array_equal(picture, np.moveaxis(rgb, 0, -1)[PART.slices])


def test_one_pixel(geotiff):
    picture, valid = read(geotiff(np.full((3, 1, 1), 9, np.uint8)), Window(0, 0, 1, 1))
    assert picture.tolist() == [[[9, 9, 9]]]
    assert valid.all()


def test_preview_is_thinned_out(geotiff, rgb):
    with open_scene(geotiff(rgb)) as scene:
        assert scene.preview(20)[0].shape == (14, 20, 3)
        assert scene.preview(500)[0].shape == (37, 53, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere\.tif: no such file"):
        read(str(tmp_path / "nowhere.tif"))


def test_garbage_is_named(tmp_path):
    path = tmp_path / "garbage.tif"
    path.write_bytes(b"II*\0 this is no picture")
    with pytest.raises(SourceError, match=r"garbage\.tif: cannot be read"):
        read(str(path))


def test_a_file_cut_short_is_named(geotiff, rgb):
    path = Path(geotiff(rgb))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"scene\.tif: cannot be read"):
        read(str(path))


def test_decoded_blocks_are_kept_for_the_window_beside(geotiff, rgb):
    with open_scene(geotiff(rgb)):
        assert 16e6 < rasterio.env.get_gdal_config("GDAL_CACHEMAX") < 256e6  # bytes: a row of blocks, and no more


def test_a_mosaic_of_mosaics_names_every_file_beneath(geotiff, rgb, tmp_path):
    paths = [Path(geotiff(rgb)), tmp_path / "inner.vrt", tmp_path / "outer.vrt"]
    rasterio.shutil.copy(paths[0], paths[1], driver="VRT")
    paths[2].write_text(paths[1].read_text().replace("scene.tif", "inner.vrt"))
    assert files_of(str(paths[2])) == sorted(paths)
    paths[0].unlink()
    assert files_of(str(paths[2])) == sorted(paths[1:])
    assert files_of("https://example.org/city.tif") == []


def test_a_wide_png_that_is_cut_short_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (100, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    whole = (tmp_path / "noise.png").read_bytes()
    (tmp_path / "noise.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"noise\.png: cannot be read"):
        read(str(tmp_path / "noise.png"), Window(0, 0, 900, 100))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("opened", [open_scene, open_bands])
def test_bands_of_different_number_types_are_read_together(geotiff, rgb, tmp_path, opened):
    paths = [geotiff(rgb[:1], name="a.tif"), geotiff(256 * rgb[1:2].astype(np.uint16), name="b.tif")]
    mixed = _stacked(tmp_path / "mixed.vrt", [*paths, paths[0]], ["Byte", "UInt16", "Byte"])
    with opened(mixed) as scene:
        values, known = scene.values(PART)
    assert np.array_equal(
        values, np.stack([rgb[0], 256 * rgb[1].astype(np.uint16), rgb[0]])[(slice(None), *PART.slices)]
    )
    assert known.all()


def _stacked(path, sources, kinds):
    """A VRT with a band out of each file, as `gdalbuildvrt -separate` makes it."""
    with rasterio.open(sources[0]) as first:
        size = f'rasterXSize="{first.width}" rasterYSize="{first.height}"'
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename>{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (source, kind) in enumerate(zip(sources, kinds, strict=True), 1)
    )
    path.write_text(f"<VRTDataset {size}>{bands}</VRTDataset>")
    return str(path)


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as servers of cloud-optimised GeoTIFFs do, and counts the bytes."""

    sent = 0

    def do_GET(self):
        path = self.translate_path(self.path)
        try:
            content = Path(path).read_bytes()
        except OSError:
            self.send_error(404)
            return
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last or len(content)) + 1]
        type(self).sent += len(part)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Address of a server of `tmp_path`."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_of_a_cog_on_a_server_only_what_is_asked_for_is_read(address, tmp_path, geotiff, rgb):
    values = np.random.default_rng(0).integers(0, 255, (3, 2100, 2700), dtype=np.uint8)
    with open_scene(geotiff(rgb)) as scene:
        place: Georeference = scene.georeference
    sheet = Sheet(2100, 2700, place, ("r", "g", "b"))
    write_raster(tmp_path / "big.tif", sheet, lambda tile: values[(slice(None), *tile.slices)])
    window = Window(600, 700, 100, 80)
    with open_scene(f"{address}/big.tif", bands=[1, 2, 3]) as scene:
        picture, valid = scene.read(window)
    assert np.array_equal(picture, np.moveaxis(values, 0, -1)[window.slices])
    assert valid.all()
    assert _Ranges.sent < (tmp_path / "big.tif").stat().st_size / 4


def test_a_missing_file_on_a_server_is_named(address):
    with pytest.raises(SourceError, match=r"nowhere\.tif: cannot be read"), open_scene(f"{address}/nowhere.tif"):
        pass


def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    assert not is_scene(str(tmp_path / "pipe.tif"))
    with (
        pytest.raises(SourceError, match=r"pipe\.tif: a folder, pipe or device"),
        open_scene(str(tmp_path / "pipe.tif")),
    ):
        pass


def test_blocks_too_large_to_decode_are_refused(tmp_path):
    path = tmp_path / "claims.tif"
    form = {"count": 3, "height": 40000, "width": 40000, "dtype": "uint8", "crs": "EPSG:32645", "transform": AFFINE}
    blocks = {"tiled": True, "blockxsize": 32768, "blockysize": 32768, "sparse_ok": True, "bigtiff": "yes"}
    with rasterio.open(path, "w", driver="GTiff", **form, **blocks):
        pass
    with (
        pytest.raises(SourceError, match=r"claims\.tif: is stored in blocks of 32768 x 32768 px"),
        open_scene(str(path)),
    ):
        pass


def test_short_complex_numbers_are_one_sentence(tmp_path):
    path = tmp_path / "radar.tif"
    form = {"count": 1, "height": 20, "width": 30, "dtype": "complex_int16", "crs": "EPSG:32645", "transform": AFFINE}
    with rasterio.open(path, "w", driver="GTiff", **form):
        pass
    assert is_scene(str(path))
    for opened in (open_scene, open_bands):
        with pytest.raises(SourceError, match=r"radar\.tif: holds complex numbers"), opened(str(path)):
            pass
