"""The weights that ship: small enough, complete, and they find roofs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rooftop.coco import open_index
from rooftop.inference import Predictor
from rooftop.raster.picture import read_picture
from rooftop.run import load

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "pretrained" / "rooftop-unet"


def test_folder_is_complete_and_light():
    card = json.loads((SHIPPED / "card.json").read_text())
    assert card["network"]["_target_"] == "rooftop.models.EncoderUNet"
    assert 0 < card["threshold"] < 1
    assert len(card["likeness"]["seam"]) == 9
    assert (SHIPPED / "MODEL_CARD.md").is_file()
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 30e6


@pytest.mark.slow
def test_a_scene_of_half_a_metre_takes_at_most_one_and_a_half_gigabytes_on_a_cpu(tmp_path):
    scene, out = ROOT / "data" / "banepa" / "test_area.tif", tmp_path / "out"
    settings = (f"source={scene}", f"run={SHIPPED}", "trainer.accelerator=cpu", f"hydra.run.dir={out}")
    # a process of its own: the figure is the peak of the process
    subprocess.run([sys.executable, "predict.py", *settings], cwd=ROOT, check=True)
    (row,) = json.loads((out / "summary.json").read_text())["pictures"]
    assert row["scaled_by"] == 1.76
    assert 0 < row["peak_memory_mb"] <= 1500


def test_it_finds_the_roofs_of_a_test_tile(tmp_path):
    folder = ROOT / "data" / "banepa"
    index = open_index(folder / "annotations" / "test.json", cache=tmp_path)
    i = list(index.names).index("18_193345_110118.jpg")
    window = np.s_[40:200, 30:254]
    picture = np.ascontiguousarray(read_picture(folder / "images" / "test" / index.names[i])[window])
    truth = index.truth(i, index.category_ids(None))[0][0][window] > 0
    run = load(SHIPPED)
    found = Predictor(run, device="cpu").probability(picture)[0] >= run.card.threshold
    assert (found & truth).sum() / (found | truth).sum() == pytest.approx(0.75, abs=0.12)
