import http.server
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rooftop.errors import SourceError
from rooftop.raster.cog import Sheet, write_raster
from rooftop.raster.georeference import Georeference
from rooftop.raster.geotiff import open_scene
from rooftop.raster.windows import Window


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
