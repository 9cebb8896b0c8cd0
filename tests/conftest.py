"""Shared fixtures: a tiny data set of pictures that are not square, and the real scripts run in this process."""

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

settings.register_profile("untimed", deadline=None)  # how long an example takes says more of the machine than of us
settings.load_profile("untimed")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # tests run alike on every machine

HEIGHT, WIDTH = 48, 80
TINY = (
    "model.depth=2",
    "model.width=4",
    "trainer.accelerator=cpu",
    "callbacks=quiet",
    "data.window=null",
    "data.draws=null",
    "data.workers=0",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture
def fast() -> tuple[str, ...]:
    """Overrides of a training that takes a second."""
    return TINY


def roof_picture(rng: np.random.Generator) -> tuple[np.ndarray, list[list[float]]]:
    """A green picture (48, 80, 3) with two bright roofs, and their outlines as COCO rings."""
    picture = rng.integers(40, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    picture[..., 1] += 40
    rings = []
    for left in (4, 44):
        x, y = left + int(rng.integers(0, 8)), int(rng.integers(2, 16))
        w, h = int(rng.integers(12, 24)), int(rng.integers(10, 26))
        picture[y : y + h, x : x + w] = rng.integers(190, 240, 3)
        rings.append([float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)])
    return picture, rings


def write_split(root: Path, split: str, tiles: list[tuple[int, int]], seed: int) -> dict:
    """Write pictures `18_x_y.png` and a COCO json of one split; returns the json."""
    rng = np.random.default_rng(seed)
    coco = {"images": [], "annotations": [], "categories": [{"id": 100, "name": "building"}]}
    (root / "images" / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    for number, (x, y) in enumerate(tiles, start=1):
        picture, rings = roof_picture(rng)
        name = f"18_{x}_{y}.png"
        Image.fromarray(picture).save(root / "images" / split / name)
        coco["images"].append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for ring in rings:
            x0, y0, x1, y1 = ring[0], ring[1], ring[2], ring[5]
            area = (x1 - x0) * (y1 - y0)
            coco["annotations"].append(
                {
                    "id": len(coco["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 100,
                    "segmentation": [ring],
                    "area": area,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": 0,
                }
            )
    (root / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    return coco


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """The tiny data set and a run of two epochs on it, made once; tests get copies."""
    folder = tmp_path_factory.mktemp("made")
    write_split(folder / "tiny", "train", [(x, y) for x in range(5) for y in range(2)], seed=1)
    write_split(folder / "tiny", "test", [(x, 9) for x in range(5)], seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        code = call(patch, "train", *TINY, "data.root=tiny", "trainer.max_epochs=2", "hydra.run.dir=run")
    assert code == 0
    return folder


@pytest.fixture
def tiny(made, tmp_path: Path) -> Path:
    """A data set in the layout of data/banepa: 10 training tiles (5 x 2) and 5 test tiles, all 48 x 80 px."""
    shutil.copytree(made / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def trained(made, tiny, tmp_path: Path) -> Path:
    """A run folder: two epochs on the tiny data set."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def call(patch: pytest.MonkeyPatch, script: str, *overrides: str) -> int:
    """Run a script in this process; returns its exit code."""
    patch.setattr(sys, "argv", [f"{script}.py", *overrides])
    try:
        importlib.import_module(script).main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


@pytest.fixture
def run_script(monkeypatch, tmp_path, capsys):
    """Run a script as a person would, in this process: run_script("train", "model.depth=2") -> (exit code, text)."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *overrides: str) -> tuple[int, str]:
        code = call(monkeypatch, script, *overrides)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run
