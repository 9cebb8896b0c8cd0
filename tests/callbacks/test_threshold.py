import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rooftop.data import RoofDataModule
from rooftop.inference import Predictor
from rooftop.metrics.curve import Histogram, best_threshold, histogram
from rooftop.run import load


def test_the_card_keeps_the_threshold_that_is_best_on_validation(run_script, tiny, tmp_path, fast):
    folder = tmp_path / "run"
    code, text = run_script(
        "train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "logger=tensorboard", f"hydra.run.dir={folder}"
    )
    assert code == 0, text
    run = load(folder)
    config = json.loads((folder / "card.json").read_text())
    assert 0 < run.card.threshold < 1
    assert config["scores"]["threshold"] == run.card.threshold
    data = RoofDataModule({**_data(folder), "workers": 0}).dataset("val")
    predictor, found = Predictor(run, device="cpu"), Histogram()
    for i in data.picks:
        mask, valid = data.source.truth(int(i))
        found += histogram(predictor.probability(data.source.picture(int(i)))[0], mask[0], valid)
    assert run.card.threshold == pytest.approx(best_threshold(found), abs=0.004)
    board = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    curve = board.Tensors("val/precision_recall")[0].tensor_proto
    assert np.prod([dim.size for dim in curve.tensor_shape.dim]) == 6 * 128


def test_a_threshold_can_be_kept(run_script, tiny, tmp_path, fast):
    folder = tmp_path / "run"
    overrides = ("trainer.max_epochs=1", "threshold=0.3", "choose_threshold=false", f"hydra.run.dir={folder}")
    code, text = run_script("train", *fast, f"data.root={tiny}", *overrides)
    assert code == 0, text
    assert load(folder).card.threshold == 0.3


def _data(folder):
    return OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml").data, resolve=True)
