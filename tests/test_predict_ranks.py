"""Several processes through the real script: the files of one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

ROOT = Path(__file__).parents[1]
COMMON = ("window=64", "overlap=16", "polygons.min_area=0")
TWO = ("trainer.accelerator=cpu", "trainer.devices=2")


@pytest.fixture
def town(tiny, tmp_path):
    """Training pictures of 48 x 80 px as tiles of a scene of 960 x 400 px, 20 rows of windows."""
    files = sorted((tiny / "images" / "train").iterdir())
    pictures = [np.moveaxis(np.asarray(Image.open(name)), -1, 0) for name in files]
    rows = [np.concatenate([pictures[(i * 3 + j) % 10] for j in range(5)], axis=2) for i in range(20)]
    values = np.concatenate(rows, axis=1)
    place = {"crs": "EPSG:32645", "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_060_000)}
    profile = {"count": 3, "height": 960, "width": 400, "dtype": "uint8", "tiled": True, "blockxsize": 64, **place}
    with rasterio.open(tmp_path / "town.tif", "w", driver="GTiff", blockysize=64, **profile) as dataset:
        dataset.write(values)
    return tmp_path / "town.tif"


@pytest.fixture
def predict(run_script, trained, tmp_path):
    """predict(source, *overrides, out=name) in this process -> (exit code, text)."""

    def run(source, *overrides, out):
        where = (f"run={trained}", f"source={source}", f"hydra.run.dir={tmp_path / out}")
        return run_script("predict", *where, *COMMON, *overrides)

    return run


@pytest.fixture
def start(trained, tmp_path):
    """start(source, *overrides, out=name) -> the first of two processes of the real script."""

    def run(source, *overrides, out):
        where = (f"run={trained}", f"source={source}", f"hydra.run.dir={tmp_path / out}")
        command = [sys.executable, str(ROOT / "predict.py"), *where, *COMMON, *TWO, *overrides]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)

    return run


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The last bit of a sum depends on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ended(process):
    """Wait for a process -> (exit code, text)."""
    text, _ = process.communicate(timeout=240)
    return process.returncode, text


def files(folder):
    """Content of each result file by name; of the summary without what a clock or meter gave."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    content = {name: path.read_bytes() for name, path in found.items() if not name.startswith((".", "predict.log"))}
    summary = json.loads(content["summary.json"])
    for row in summary["pictures"]:
        row.pop("megapixels_per_second", None), row.pop("peak_memory_mb", None)
    return {**content, "summary.json": json.dumps(summary)}


@pytest.mark.slow
def test_two_processes_go_on_where_one_stopped_and_give_equal_files(predict, start, town, tmp_path, monkeypatch):
    from rooftop.inference.predictor import Predictor

    assert predict(town, out="one")[0] == 0
    forward, left = Predictor.forward, [15]

    def stopped(self, pictures):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return forward(self, pictures)

    monkeypatch.setattr(Predictor, "forward", stopped)
    assert predict(town, out="two")[0] == 130
    rows = {path.name for path in (tmp_path / "outputs" / ".unfinished").rglob("*.u8")}
    assert 0 < len(rows) < 20
    code, text = ended(start(town, out="two"))
    assert code == 0, text
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert {"masks/town.png", "probability.tif", "roofs.gpkg", "roofs.geojson", "predictions.coco.json"} < set(one)
    assert [name for name in one if one[name] != two.get(name)] == []
    assert set(one) == set(two)
    assert not [*(tmp_path / "outputs" / ".unfinished").iterdir()]


@pytest.mark.slow
def test_one_process_goes_on_where_two_were_killed_and_gives_equal_files(predict, start, town, tmp_path):
    slower = "tta=flips"
    assert predict(town, slower, out="one")[0] == 0
    process = start(town, slower, out="two")
    deadline = time.monotonic() + 240
    while not [*(tmp_path / "outputs").rglob("*.u8")] and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    rows = [path.name for path in (tmp_path / "outputs").rglob("*.u8")]
    assert 0 < len(rows) < 20
    assert predict(town, slower, out="two")[0] == 0
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert [name for name in one if one[name] != two.get(name)] == []


@pytest.mark.slow
def test_two_processes_share_out_a_folder(predict, start, town, tiny, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("east.tif", "west.tif"):
        shutil.copy(town, folder / name)
    for path in (tiny / "images" / "test").iterdir():
        shutil.copy(path, folder)
    (folder / "broken.png").write_bytes(b"nothing")
    assert predict(folder, out="one")[0] == 0
    code, text = ended(start(folder, out="two"))
    assert code == 0, text
    assert "broken.png: not a picture" in text
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert len(json.loads(one["summary.json"])["pictures"]) == 7
    assert [name for name in one if one[name] != two.get(name)] == []
    assert set(one) == set(two)


@pytest.mark.slow
def test_a_scene_that_one_process_cannot_read_ends_both_in_one_sentence(start, town, tmp_path):
    with town.open("r+b") as file:
        file.truncate(town.stat().st_size // 2)
    code, text = ended(start(town, out="two"))
    assert code == 2
    assert "town.tif: cannot be read" in text
    assert len([line for line in text.splitlines() if line.startswith("error")]) == 1
    assert "Traceback" not in text
    assert not (tmp_path / "two" / "summary.json").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.devices=0", "trainer.devices=0: give a number, a list"),
        ("trainer.devices=many", "trainer.devices=many: give a number, a list"),
        ("trainer.num_nodes=0", "trainer.num_nodes=0 must be 1 or more"),
        ("trainer.strategy=fsdp", "trainer.strategy=fsdp: choose auto or ddp"),
        ("trainer.accelerator=tpu", "trainer.accelerator=tpu: choose cpu, gpu or auto"),
        ("trainer.max_epochs=3", "unknown configuration key trainer.max_epochs"),
        ("device=cpu", "did you mean trainer.devices"),
        ("trainer=gpu", "trainer holds several settings; set one of them: trainer.accelerator, trainer.devices"),
    ],
)
def test_wrong_settings_are_one_sentence_before_a_process_starts(predict, town, override, said):
    code, text = predict(town, override, out="out")
    assert code == 2
    assert said in text
    assert len(text.strip().splitlines()) == 1
