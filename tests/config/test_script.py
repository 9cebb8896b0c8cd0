"""The command line as a user types it, right and wrong."""

import importlib.util
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rooftop.config.console import ConsoleHandler
from rooftop.config.schema import SCHEMAS


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.deph=4", "model.depth"),
        ("+model.deph=4", "model.depth"),
        ("+datta.root=x", "data"),
        ("data.rot=x", "data.root"),
        ("+data.rot=x", "data.root"),
        ("loss=bce_dise", "loss=bce_dice"),
        ("trainer.max_epoch=3", "trainer.max_epochs"),
        ("+trainer.max_epoch=3", "trainer.max_epochs"),
        ("callbacks.early_stop.patiens=3", "callbacks.early_stop.patience"),
        ("+callbacks.early_stop.patiens=3", "callbacks.early_stop.patience"),
        ("sede=1", "seed"),
        ("lr=0.1", "did you mean optimizer.lr?"),
        ("seed=one", "seed=one: expected integer."),
        ("data.batch_size=many", "data.batch_size=many: expected integer."),
        ("compile=perhaps", "compile=perhaps: expected true or false."),
        ("data.size=[a,32]", "data.size[0]=a: expected list of integers or null."),
        ("seed=null", "seed=null: expected integer."),
        ("resume=[a]", "resume"),
        ("data.name=[a]", "data.name=['a']: expected string."),
        ("data.gsd=fine", "data.gsd=fine: expected number or null."),
        ("data=coco", "data.root is not set"),
        ("model._target_=os.system", "allowed packages"),
        ("model.depth=[", "model.depth"),
        ("data.root=Bilder für Übung", "for the shell: \"data.root='Bilder für Übung'\""),
        ("data/banepa", "a setting is written name=value, without blanks"),
        ("data.categories=building", "data.categories is a list: write it in brackets: 'data.categories=["),
        ("data.val=images", "data.val holds several settings: 'data.val={NAME: VALUE, ...}'"),
        ("trainer.limit_train_batches=2", "with a plus: +trainer.NAME=VALUE"),
        ("resume=nowhere", "resume"),
        ("scheduler=null", "scheduler=null: choose one of cosine, none, onecycle, own, plateau, or name a class: "),
        ("logger=null", "logger=null: choose one of csv, mlflow, none, tensorboard, wandb."),
        ("data.val.images=val", "data.val is null and has no key images; set it as a whole: 'data.val={images:"),
    ],
)
def test_wrong_key_or_value_ends_in_one_sentence_and_leaves_nothing(run_script, tmp_path, override, message):
    code, text = run_script("train", override)
    assert code == 2
    assert message in text
    assert len(text.strip().splitlines()) == 1, text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("key", "more"), [("hydra.run.dir", ()), ("hydra.sweep.dir", ("-m", "model.depth=3,4"))])
def test_an_output_folder_that_cannot_be_is_told_before_work_starts(run_script, tmp_path, monkeypatch, key, more):
    (tmp_path / "file").touch()
    code, text = run_script("train", *more, f"{key}={tmp_path}/file/out")
    assert code == 2
    assert text.strip().endswith(f"{key}={tmp_path}/file/out: {tmp_path}/file is a file; name another folder.")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    code, text = run_script("train", *more, f"{key}={tmp_path}/locked/out")
    assert code == 2
    assert text.strip().endswith(f"{key}={tmp_path}/locked/out: {tmp_path} is not writable; name another folder.")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_wrong_key_in_a_sweep_is_found_before_it_starts(run_script, tmp_path):
    code, text = run_script("train", "-m", "model.deph=3,4", "loss=bce,dice")
    assert code == 2
    assert "model.depth" in text
    assert not list(tmp_path.iterdir())


def test_full_error_keeps_the_traceback(run_script, monkeypatch):
    from rooftop.errors import ConfigError

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError):
        run_script("train", "model.deph=4")


@pytest.mark.parametrize("script", sorted(SCHEMAS))
def test_help_shows_examples_and_settings(run_script, tmp_path, script):
    code, text = run_script(script, "--help")
    assert code == 0
    assert f"python {script}.py" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error():
    read_end, write_end = os.pipe()
    os.close(read_end)  # closed before the first letter: `| head` may or may not be gone in time
    done = subprocess.run(
        [sys.executable, "train.py", "--help"],
        cwd=Path(__file__).parents[2], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")  # as of any program that writes to a closed pipe


def test_cfg_job_prints_the_configuration(run_script):
    code, text = run_script("train", "--cfg", "job", "model.depth=6")
    assert code == 0
    assert "depth: 6" in text


def experiments() -> list[str]:
    return sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", experiments())
def test_every_experiment_composes_and_is_a_short_page(name, monkeypatch):
    from rooftop.config.command_line import compose_for_check
    from rooftop.config.paths import CONF

    assert compose_for_check("train", [f"experiment={name}", "data.root=DIR"])
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    settings = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert len(settings) <= 15


@pytest.mark.parametrize(
    "choice",
    [
        f"{group.name}={path.stem}"
        for group in sorted((Path(__file__).parents[2] / "conf").iterdir())
        if group.is_dir()
        and group.name in ("augmentation", "model", "loss", "optimizer", "scheduler", "callbacks", "logger", "debug")
        for path in sorted(group.glob("*.yaml"))
        if path.stem != "own"  # which needs a class
    ],
)
def test_every_choice_passes_the_check(choice, monkeypatch):
    from rooftop.config.command_line import compose_for_check

    monkeypatch.setattr(sys.modules["rooftop.config.build"], "EXTRAS", {})  # not all are installed here
    assert compose_for_check("train", [choice]).arguments == [choice]


def test_a_path_too_long_for_the_system_is_one_sentence(run_script, tiny):
    for settings in (
        ("source=/tmp/" + "x" * 5000 + ".tif",),
        ("hydra.run.dir=" + "x" * 300, f"source={tiny}/images/val"),
    ):
        code, text = run_script("predict", *settings)
        assert code == 2, text
        assert "Traceback" not in text
        assert "error: " in text
        assert len(text.splitlines()[-1]) < 6000


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_a_logger_whose_package_is_missing_names_its_extra(run_script, tmp_path, monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    code, text = run_script("train", f"logger=[csv,{package}]")
    assert code == 2
    needs = f"logger.{package} needs the package {package}, which is not installed; pip install -e '.[{package}]'."
    assert text == f"error: {needs}\n"
    assert not list(tmp_path.iterdir())


def test_log_lines_go_where_standard_output_goes_now(monkeypatch):
    """A progress bar puts a proxy there that prints above the bar."""
    handler = ConsoleHandler(sys.stderr)
    proxy = io.StringIO()
    monkeypatch.setattr(sys, "stdout", proxy)
    handler.emit(logging.makeLogRecord({"msg": "epoch 1 of 2"}))
    assert proxy.getvalue() == "epoch 1 of 2\n"
