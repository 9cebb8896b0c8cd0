"""An interrupted run can be resumed."""

import csv
import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from rooftop.metrics.pixel_metric import PixelScores
from rooftop.task import RooftopTask


@pytest.fixture(autouse=True)
def _handlers_of_a_shell():
    """Signals as in a terminal: a shell lets what runs behind it ignore Ctrl-C, and coverage handles SIGTERM."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stop(monkeypatch, step, number):
    """Send a signal in the step of this number of the next training."""
    honest = RooftopTask.training_step

    def stopping(self, batch, index):
        if self.global_step == step:
            os.kill(os.getpid(), number)
        return honest(self, batch, index)

    monkeypatch.setattr(RooftopTask, "training_step", stopping)


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 2])  # in the first epoch, in the second
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_how_to_go_on_and_the_result_is_the_same(
    run_script, tiny, tmp_path, fast, monkeypatch, step, number
):
    common = ("train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "data.batch_size=4")
    assert run_script(*common, f"hydra.run.dir={tmp_path}/whole")[0] == 0
    with monkeypatch.context() as patch:
        stop(patch, step, number)
        code, text = run_script(*common, f"hydra.run.dir={tmp_path}/parts")
    assert code == 128 + number
    assert not (tmp_path / "parts" / "card.json").exists()
    if step == 0:
        assert "no epoch was finished" in text
        assert "name a run with one finished epoch or more" in run_script("train", f"resume={tmp_path}/parts")[1]
        return
    assert f"resume with: python train.py resume={tmp_path}/parts" in text
    code, text = run_script("train", f"resume={tmp_path}/parts")
    assert code == 0, text
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_training_ended_by_a_scheduler_is_not_taken_for_a_finished_one(run_script, tiny, tmp_path, fast, monkeypatch):
    stop(monkeypatch, 2, signal.SIGTERM)
    common = ("train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "data.batch_size=4")
    code, text = run_script(*common, f"hydra.run.dir={tmp_path}/run")
    assert code == 143
    assert text.endswith(f"stopped in epoch 2; resume with: python train.py resume={tmp_path}/run\n")


def test_epochs_that_are_not_validated_have_training_scores_of_their_own_and_no_others(
    run_script, tiny, tmp_path, fast
):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "scheduler=plateau", "trainer.max_epochs=4"),
        *("+trainer.check_val_every_n_epoch=2", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 0, text
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val/iou"]) for row in rows] == [False, True, False, True]
    assert len({row["train/loss"] for row in rows}) == 4
    pixels = [sum(float(row[f"train/{name}"]) for name in ("iou", "accuracy")) for row in rows]
    assert len(set(pixels)) == 4
    assert (tmp_path / "run" / "pictures" / "learning_curve.png").is_file()


def test_the_best_of_several_validations_an_epoch_is_the_one_that_is_kept(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "data.batch_size=2", "optimizer.lr=0.03"),
        *("+trainer.val_check_interval=0.5", "choose_threshold=false", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 0, text
    kept = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    scores = [state["best_model_score"] for state in kept["callbacks"].values() if "best_model_score" in state]
    monitor = json.loads((tmp_path / "run" / "scores.json").read_text())["monitor"]
    assert monitor["value"] == pytest.approx(float(max(score for score in scores if score is not None)))
    assert monitor["epoch"] == kept["epoch"] + 1  # people count from 1
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    (history,) = [state for state in last["callbacks"].values() if "validations" in state]
    assert len(history["validations"]) == 4


def test_training_scores_are_of_the_whole_epoch_where_it_is_validated_in_the_middle(
    run_script, tiny, tmp_path, fast, monkeypatch
):
    counted, compute = [], PixelScores.compute

    def noting(self):
        counted.append(int(self.pictures))
        return compute(self)

    monkeypatch.setattr(PixelScores, "compute", noting)
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "data.batch_size=2", "trainer.devices=1"),
        *("+trainer.val_check_interval=0.75", "choose_threshold=false", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 0, text
    assert counted[:6] == 2 * [6, 2, 8]  # training until the validation, that, the whole epoch


def test_a_training_that_stops_early_says_why(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *(
            "train",
            *fast,
            f"data.root={tiny}",
            "trainer.max_epochs=9",
            "optimizer.lr=0",
            "callbacks.early_stop.patience=2",
        ),
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 0, text
    assert "stopped in epoch 3: no better val/iou in 2 validations (callbacks.early_stop)" in text


def test_a_training_that_ends_before_its_first_validation_is_refused(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "data.batch_size=2", "+trainer.max_steps=1"),
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 2, text
    assert "trainer.max_steps=1 comes before the first validation, after 4 steps" in text
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "data.batch_size=2", "+trainer.check_val_every_n_epoch=null"),
        *("+trainer.val_check_interval=100", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 2, text
    assert "trainer.val_check_interval=100 is more than the 8 batches of all epochs" in text


@pytest.mark.slow
def test_a_training_whose_time_is_over_before_its_first_validation_can_be_gone_on_with(
    run_script, tiny, tmp_path, fast
):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "trainer.max_epochs=10000", "+trainer.check_val_every_n_epoch=10000"),
        *("+trainer.max_time=00:00:00:03", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 2, text
    assert "ended before its first validation; resume it: python train.py resume=" in text
    done = len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) + 1
    resumed = (f"resume={tmp_path}/run", "trainer.max_time=null", f"trainer.max_epochs={done}")
    code, text = run_script("train", *resumed, f"trainer.check_val_every_n_epoch={done}")
    assert code == 0, text
    assert (tmp_path / "run" / "card.json").is_file()


def test_a_diverged_training_stops_at_the_end_of_its_epoch(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null"),
        *("model.norm=none", "callbacks.average=null", "trainer.max_epochs=5", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 2, text
    said = "epoch 1: val/loss is nan: nothing more is learned; lower optimizer.lr or trainer.gradient_clip_val."
    assert said in text
    assert "Traceback" not in text
