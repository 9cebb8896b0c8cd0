"""The whole way through the real script."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]
SCORES = ("iou", "f1", "precision", "recall", "accuracy")


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a csv file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_run_folder_holds_what_the_contract_says(trained):
    for name in (
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
        "card.json",
        "model.safetensors",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "scores.json",
        "metrics.csv",
        "pictures/learning_curve.png",
        "pictures/test_contact_sheet.png",
    ):
        assert (trained / name).is_file(), name
    scores = json.loads((trained / "scores.json").read_text())
    assert set(scores["pixel"]) == {"iou", "f1", "precision", "recall", "accuracy"}
    assert scores["pictures"] == 5
    card = json.loads((trained / "card.json").read_text())
    assert card["network"]["depth"] == 2
    assert card["data"] == {"name": "banepa", "pictures": {"train": 8, "val": 2, "test": 5}}
    assert card["scores"]["pixel"] == scores["pixel"]
    rows = table(trained / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"train/loss", "val/loss", "val/iou", "val/f1", "lr"} <= set(rows[0])
    assert scores["monitor"]["value"] == pytest.approx(max(float(row["val/iou"]) for row in rows))


def test_tensorboard_shows_scores_rate_panels_graph_and_settings(trained):
    events = EventAccumulator(str(trained))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "val/loss", "val/iou", "val/f1"} <= set(tags["scalars"])
    assert any(tag.startswith("lr-") for tag in tags["scalars"])
    assert len([tag for tag in tags["images"] if tag.startswith("val/")]) == 2
    assert tags["graph"]
    logged = b"".join(path.read_bytes() for path in trained.glob("events*"))
    assert b"_hparams_" in logged
    assert b"model.depth" in logged
    assert b"augmentation" in logged
    assert b"callbacks.best.monitor" not in logged  # the usual settings and those typed, not all
    epochs = [event.value for event in events.Scalars("epoch")]
    assert (min(epochs), max(epochs)) == (1, 2)
    assert {event.step for tag in tags["images"] for event in events.Images(tag)} == {1, 2}


def test_panels_are_as_wide_as_three_pictures(trained):
    panels = sorted((trained / "pictures").glob("test_18_*.png"))
    assert len(panels) == 5
    with Image.open(panels[0]) as image:
        assert image.width > 3 * 80


def test_it_ends_with_what_to_type_next(run_script, tiny, tmp_path, fast):
    code, text = run_script("train", *fast, f"data.root={tiny}", "trainer.max_epochs=1")
    assert code == 0
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    assert f"python predict.py run=outputs/train/{folder.name} source=" in text
    assert f"tensorboard --logdir outputs/train/{folder.name}\n" in text


def test_evaluate_counts_what_training_reported(trained, tiny, run_script, tmp_path):
    code, text = run_script("evaluate", f"run={trained}", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/scores")
    assert code == 0, text
    scored = json.loads((tmp_path / "scores" / "scores.json").read_text())
    reported = json.loads((trained / "scores.json").read_text())
    counted = {name: scored["pixel"][name] for name in reported["pixel"]}
    assert counted == pytest.approx(reported["pixel"], abs=1e-9)


@pytest.mark.slow
def test_a_run_that_goes_on_equals_one_that_never_stopped(run_script, tiny, tmp_path, fast):
    """Also in what Lightning does after it has written the checkpoint: the rate falls after each epoch but the best."""
    common = (*fast, f"data.root={tiny}", "scheduler=plateau", "scheduler.patience=0", "model.dropout=0.2")
    common += ("optimizer.lr=1e-5", "scheduler.factor=0.5")
    assert run_script("train", *common, "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/whole")[0] == 0
    assert run_script("train", *common, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/parts")[0] == 0
    code, text = run_script("train", f"resume={tmp_path}/parts", "trainer.max_epochs=3")
    assert code == 0, text
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    for one, other in zip(
        table(tmp_path / "whole" / "metrics.csv"), table(tmp_path / "parts" / "metrics.csv"), strict=True
    ):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}
    rates = {row["lr"] for row in table(tmp_path / "whole" / "metrics.csv")}
    assert len(rates) > 1
    assert not (tmp_path / "outputs" / "train").exists()


def test_a_stopped_training_is_not_begun_anew_without_a_word(run_script, trained, tiny, fast):
    (trained / "card.json").unlink()
    before = (trained / "checkpoints" / "best.ckpt").read_bytes()
    again = ("train", *fast, f"data.root={tiny}", f"hydra.run.dir={trained}", "trainer.max_epochs=2")
    code, text = run_script(*again)
    assert code == 2
    assert f"python train.py resume={trained}; to start over, delete its checkpoints" in text
    assert (trained / "checkpoints" / "best.ckpt").read_bytes() == before
    code, text = run_script("train", f"resume={trained}")
    assert code == 0, text
    assert (trained / "card.json").is_file()


def test_after_a_requeue_the_weights_so_far_are_kept(run_script, trained, tiny, fast, monkeypatch):
    """A cluster that stops a training lets Lightning write `hpc_ckpt_1.ckpt`, with which it goes on by itself."""
    (trained / "card.json").unlink()
    shutil.copy(trained / "checkpoints" / "last.ckpt", trained / "hpc_ckpt_1.ckpt")
    best = trained / "checkpoints" / "best.ckpt"
    unlink, gone = Path.unlink, []
    monkeypatch.setattr(Path, "unlink", lambda path, **how: gone.append(path) or unlink(path, **how))
    code, text = run_script("train", *fast, f"data.root={tiny}", f"hydra.run.dir={trained}", "trainer.max_epochs=3")
    assert code == 0, text
    assert best not in gone
    assert [row["epoch"] for row in table(trained / "metrics.csv")] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("callbacks=quiet", "callbacks=quiet: a resumed run keeps its own callbacks; change single keys of it"),
        ("trainer.max_epochs=1", "trainer.max_epochs=1: the run has 2 epochs already; give 2 to finish it"),
    ],
)
def test_what_a_run_cannot_go_on_with_is_one_sentence(run_script, trained, override, said):
    code, text = run_script("train", f"resume={trained}", override)
    assert code == 2
    assert said in text
    assert "Traceback" not in text


def test_a_run_in_a_folder_with_an_apostrophe_goes_on(run_script, trained):
    run = trained.rename(trained.with_name("it's"))
    code, text = run_script("train", f'resume="{run}"', "trainer.max_epochs=3")
    assert code == 0, text


def test_settings_with_which_a_run_goes_on_are_kept_or_refused(trained, run_script):
    for wrong in ("optimizer.lr=0.1", "model.depth=3", "callbacks.early_stop.patience=60", "data.targets=[roof,core]"):
        code, text = run_script("train", f"resume={trained}", wrong)
        assert (code, f"{wrong} cannot change on resume" in text) == (2, True), text
    recorded = trained / ".hydra" / "config.yaml"
    before = recorded.read_text()
    assert run_script("train", f"resume={trained}", "callbacks.best=null")[0] == 2
    assert recorded.read_text() == before
    for epochs in (3, 4):  # the same command, as after a stop: what it adds is there the second time
        added = ("+trainer.limit_train_batches=2", "~callbacks.early_stop", f"trainer.max_epochs={epochs}")
        code, text = run_script("train", f"resume={trained}", *added)
        assert code == 0, text
    kept = OmegaConf.load(recorded)
    assert (kept.trainer.max_epochs, kept.trainer.limit_train_batches, kept.resume) == (4, 2, None)
    assert "early_stop" not in kept.callbacks


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_and_others_differ(run_script, tiny, tmp_path, fast):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        code, text = run_script(
            "train",
            *fast,
            f"data.root={tiny}",
            "trainer.max_epochs=1",
            f"seed={seed}",
            f"hydra.run.dir={tmp_path}/{name}",
        )
        assert code == 0, text
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_checkpoint_with_code_is_refused_on_resume(trained, run_script):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(trained / "owned"),)

    torch.save({"evil": Malicious()}, trained / "checkpoints" / "last.ckpt")
    code, text = run_script("train", f"resume={trained}", "trainer.max_epochs=3")
    assert code == 2
    assert "refused, not executed" in text
    assert not (trained / "owned").exists()


def test_full_disk_while_saving_keeps_the_old_checkpoint(trained, run_script, monkeypatch):
    import errno

    before = (trained / "checkpoints" / "last.ckpt").read_bytes()

    def full(path, content, write=Path.write_bytes):
        write(path, content[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        code, text = run_script("train", f"resume={trained}", "trainer.max_epochs=3")
    assert code == 2
    assert "no space left on the disk" in text
    assert (trained / "checkpoints" / "last.ckpt").read_bytes() == before
    assert not [path for path in (trained / "checkpoints").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_sweep_ends_with_one_table_and_a_failed_job_stops_no_other(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", "-m", *fast, f"data.root={tiny}", "trainer.max_epochs=1"),
        *("model.depth=2,9,3", "loss=bce,dice", f"hydra.sweep.dir={tmp_path}/sweep"),
    )
    assert code == 1
    rows = table(tmp_path / "sweep" / "sweep.csv")
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed", "done", "done"]
    assert [(row["model.depth"], row["loss"]) for row in rows[:3]] == [("2", "bce"), ("2", "dice"), ("9", "bce")]
    assert "depth=9 is outside 2 to 7" in rows[2]["error"]
    for job, row in enumerate(rows):
        if row["status"] == "done":
            scored = json.loads((tmp_path / "sweep" / str(job) / "scores.json").read_text())
            assert float(row["iou"]) == pytest.approx(scored["pixel"]["iou"], abs=1e-4)
    assert (tmp_path / "sweep" / "4" / "model.safetensors").is_file()
    assert "sweep.csv" in text


@pytest.mark.slow
def test_a_sweep_started_again_runs_only_what_is_missing(run_script, tiny, tmp_path, fast):
    common = ("train", "-m", *fast, f"data.root={tiny}", "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}/sweep")
    assert run_script(*common, "loss=bce,dice")[0] == 0
    first, second = (tmp_path / "sweep" / job / "model.safetensors" for job in "01")
    stamp = first.stat().st_mtime_ns
    (tmp_path / "sweep" / "1" / "job.json").unlink()
    second.unlink()
    code, text = run_script(*common, "loss=bce,dice")
    assert code == 0, text
    assert first.stat().st_mtime_ns == stamp
    assert second.is_file()
    assert [row["status"] for row in table(tmp_path / "sweep" / "sweep.csv")] == ["done", "done"]

    note = tmp_path / "sweep" / "1" / "job.json"  # killed in the middle, and finished on its own
    note.write_text(json.dumps({**json.loads(note.read_text()), "status": "started"}))
    assert run_script("train", f"resume={tmp_path}/sweep/1", "trainer.max_epochs=2")[0] == 0
    stamp = second.stat().st_mtime_ns
    code, text = run_script(*common, "loss=dice,bce")
    assert code == 0, text
    assert text.count("is done already") == 2
    assert second.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("experiment", ["original"])
def test_experiments_train(run_script, tiny, tmp_path, experiment):
    code, text = run_script(
        *("train", f"experiment={experiment}", f"data.root={tiny}", "data.size=[32,32]", "trainer.max_epochs=1"),
        *("callbacks=quiet", "data.workers=0", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path}/run"),
    )
    assert code == 0, text
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["network"]["activation"] == "elu"
    assert card["preparation"]["size"] == [32, 32]


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run a script in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / arguments[0]), *arguments[1:]]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_two_processes_give_one_folder_and_the_single_process_score(tiny, tmp_path, fast):
    common = [*fast, f"data.root={tiny}", "trainer.max_epochs=1", "data.batch_size=2"]
    done = python("train.py", *common, "trainer.devices=2", "trainer.strategy=ddp", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    together = json.loads((folder / "scores.json").read_text())
    scored = python("evaluate.py", f"run={folder}", f"data.root={tiny}", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    (other,) = (tmp_path / "outputs" / "evaluate").iterdir()
    alone = json.loads((other / "scores.json").read_text())
    assert together["pictures"] == 5
    assert together["pixel"] == pytest.approx({name: alone["pixel"][name] for name in together["pixel"]}, abs=1e-9)


@pytest.mark.slow
def test_a_sweep_over_two_processes_each(tiny, tmp_path, fast):
    common = [*fast, f"data.root={tiny}", "trainer.max_epochs=1", "data.batch_size=2"]
    ddp = ["trainer.devices=2", "trainer.strategy=ddp", f"hydra.sweep.dir={tmp_path}/sweep"]
    done = python("train.py", "-m", *common, *ddp, "loss=bce,dice", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "sweep" / "sweep.csv")
    assert [row["status"] for row in rows] == ["done", "done"]
    assert not (tmp_path / "outputs" / "train").exists()


def test_without_logger_the_table_of_epochs_remains(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "logger=none", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'a'}")
    )
    assert code == 0, text
    assert (tmp_path / "a" / "metrics.csv").is_file()
    assert not [*(tmp_path / "a").glob("events*")]
    assert "tensorboard" not in text


def test_no_logger_and_no_pictures_are_choices_too(run_script, tiny, tmp_path, fast):
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "logger.tensorboard=null", "pictures=0", "trainer.max_epochs=1"),
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 0, text
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert not list((tmp_path / "run" / "pictures").glob("test_*"))


def test_a_training_without_validated_epoch_is_refused(run_script, tiny, fast):
    code, text = run_script(
        "train", *fast, f"data.root={tiny}", "trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=5"
    )
    assert code == 2, text
    assert "trainer.check_val_every_n_epoch=5 is more than trainer.max_epochs=3" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["+trainer.check_val_every_n_epoch=null", "scheduler=plateau"], "plateau needs a score after each epoch"),
        (["trainer.max_epochs=null", "+trainer.max_time=00:00:01:00"], "give trainer.max_epochs, +trainer.max_steps"),
    ],
)
def test_a_schedule_that_cannot_know_its_length_or_score_is_refused(run_script, tiny, fast, overrides, said):
    code, text = run_script("train", *fast, f"data.root={tiny}", *overrides)
    assert code == 2, text
    assert said in text
    assert "Traceback" not in text


@pytest.mark.parametrize("asked", ["mps", "gpu"])
def test_apples_gpu_is_refused(run_script, tiny, fast, monkeypatch, asked):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    code, text = run_script("train", *fast, f"data.root={tiny}", f"trainer.accelerator={asked}")
    assert code == 2, text
    assert f"trainer.accelerator={asked}: Apple's GPUs lack float64" in text
    assert "Traceback" not in text


def test_beside_an_apple_gpu_auto_trains_on_the_cpu(run_script, tiny, tmp_path, fast, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    code, text = run_script(
        *("train", *fast, f"data.root={tiny}", "trainer.accelerator=auto", "trainer.max_epochs=1"),
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 0, text
    assert "training on the CPU: Apple's GPUs" in text + (tmp_path / "run" / "train.log").read_text()


def test_a_finished_run_is_not_replaced_without_a_word(run_script, trained, tiny, fast):
    code, text = run_script("train", *fast, f"data.root={tiny}", f"hydra.run.dir={trained}", "trainer.max_epochs=1")
    assert code == 0, text
    assert "contains a finished run; it is replaced (resume=RUN continues a run)" in text


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        ("{_target_: torch.optim.lr_scheduler.MultiStepLR, milestones: [1, 2], gamma: 0.5}", [0.5, 0.25]),
        ("{_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, patience: 0, factor: 0.1, threshold: 9}", [1, 0.1]),
    ],
)
def test_schedulers_and_losses_of_torch_train_and_resume(run_script, tiny, fast, tmp_path, scheduler, rates):
    def rate():
        state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        return state["optimizer_states"][0]["param_groups"][0]["lr"]

    own = (f"scheduler={scheduler}", "loss={_target_: torch.nn.BCEWithLogitsLoss}", "optimizer.lr=1e-3")
    code, text = run_script(
        *("train", *fast, *own, f"data.root={tiny}", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'run'}")
    )
    assert code == 0, text
    assert rate() == pytest.approx(rates[0] * 1e-3)
    code, text = run_script("train", f"resume={tmp_path / 'run'}", "trainer.max_epochs=3")
    assert code == 0, text
    assert rate() == pytest.approx(rates[1] * 1e-3)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loss={_target_: torch.nn.BCELoss}", "loss: BCELoss fails on logits and a mask"),
        (
            "scheduler={_target_: torch.optim.lr_scheduler.StepLR}",
            "missing 1 required positional argument: 'step_size'",
        ),
        ("model={_target_: torch.nn.Conv2d, out_channels: 2, kernel_size: 1}", "unexpected keyword argument 'classes'"),
    ],
)
def test_parts_of_others_that_do_not_fit_are_one_sentence_before_work(run_script, tiny, fast, override, said):
    plain = [each for each in fast if not each.startswith("model.")]
    code, text = run_script("train", *plain, f"data.root={tiny}", override)
    assert code == 2
    assert said in text
    assert "Traceback" not in text
