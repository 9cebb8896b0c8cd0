"""Tiles of a server on this machine."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from rooftop.errors import SourceError
from rooftop.inference import Area, find_sources

BBOX = [85.5165, 27.6376, 85.5172, 27.6382]  # inside tile 18/193343/110117
MOST = 300  # requests


@pytest.fixture
def server():
    """A server of tiles with one bright square each; yields its address and what it was asked: path, program."""
    picture = np.full((256, 256, 3), 30, np.uint8)
    picture[100:150, 100:150] = 220
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    asked, fails = [], []

    class Tiles(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["User-Agent"]))
            bad = len(asked) > MOST or (fails and fails.pop())
            self.send_response(503 if bad else 200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(b"" if bad else file.getvalue())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Tiles) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}", asked, fails
        served.shutdown()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr("rooftop.raster.scene.PAUSES", (0.01, 0.01))
    monkeypatch.setattr("rooftop.inference.area.MARGIN", 10.0)


def test_tiles_of_an_area_are_asked_for_once_and_their_roofs_placed(find, server):
    address, asked, _ = server
    summary = find(f"{address}/18/{{x}}/{{y}}.png", area=Area.of(None, BBOX), window=256)
    (row,) = summary["pictures"]
    assert row["reference_system"] == "EPSG:3857"
    assert row["metres_per_pixel"] == pytest.approx(0.528, abs=0.002)
    assert summary["roofs"] == 1
    assert summary["pictures"][0]["roof_m2"] == pytest.approx((50 * 0.528) ** 2, rel=0.1)
    assert "/18/193343/110117.png" in {path for path, _ in asked}
    assert len(asked) < 20
    assert all(program.startswith("rooftop/") for _, program in asked)


def test_a_server_that_fails_now_and_then_is_asked_again(find, server):
    address, _, fails = server
    fails.append(True)
    assert find(f"{address}/18/{{x}}/{{y}}.png", area=Area.of(None, BBOX), window=256)["roofs"] == 1
    assert not fails


def test_a_server_that_fails_for_good_ends_in_a_sentence(find, server):
    address, asked, fails = server
    fails += [True] * MOST
    with pytest.raises(SourceError, match=r"18/\{x\}/\{y\}\.png: cannot be read"):
        find(f"{address}/18/{{x}}/{{y}}.png", area=Area.of(None, BBOX), window=256)
    assert len(asked) < 40


def test_a_web_layer_needs_an_area(find, server):
    address, asked, _ = server
    with pytest.raises(SourceError, match=r"shows the whole world; say which part: aoi=FILE or bbox="):
        find(f"{address}/{{z}}/{{x}}/{{y}}.png")
    assert not asked


def test_files_are_named_by_the_host():
    (source,) = find_sources("https://tiles.example.org/a/{z}/{x}/{y}.png?key=1")
    assert (source.stem, source.scene) == ("tiles.example.org", True)
