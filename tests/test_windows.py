"""What Windows lacks is asked for late or not at all: a prediction runs without it."""

import subprocess
import sys

AS_ON_WINDOWS = """
import importlib.abc, os, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in ("fcntl", "resource"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
of_unix = {name: os.__dict__.pop(name) for name in ("register_at_fork", "posix_fallocate", "sched_getaffinity")}
import rooftop.files
os.register_at_fork = of_unix["register_at_fork"]  # torch of Linux needs it
from rooftop.scripts import main
main()
"""


def test_a_scene_and_a_picture_are_predicted_without_the_modules_of_unix(trained, tiny, tmp_path):
    import numpy as np
    import rasterio
    from rasterio import Affine

    folder = tmp_path / "photos"
    folder.mkdir()
    picture = next((tiny / "images" / "test").iterdir())
    (folder / "photo.png").write_bytes(picture.read_bytes())
    profile = {"count": 3, "height": 48, "width": 80, "dtype": "uint8", "crs": "EPSG:32645"}
    with rasterio.open(folder / "scene.tif", "w", transform=Affine(0.5, 0, 4e5, 0, -0.5, 3e6), **profile) as dataset:
        dataset.write(np.random.default_rng(0).integers(0, 255, (3, 48, 80)).astype(np.uint8))
    words = ("predict", f"run={trained}", f"source={folder}", "trainer.accelerator=cpu", "hydra.run.dir=out")
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS, *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "roofs" / "photo.geojson").is_file()
    assert (tmp_path / "out" / "roofs" / "scene.gpkg").is_file()
    assert not (tmp_path / "out" / ".lock").exists()


def test_nothing_is_locked_without_fcntl(tmp_path, monkeypatch):
    from rooftop import files

    monkeypatch.setattr(files, "HAS_LOCKS", False)
    first, second = files.lock(tmp_path / "a" / "lock"), files.lock(tmp_path / "a" / "lock")
    assert first is not None
    assert second is not None
    assert not [*(tmp_path / "a").iterdir()], "a file held open could not be deleted on Windows"
    files.unlock(first)
    files.unlock(second)
