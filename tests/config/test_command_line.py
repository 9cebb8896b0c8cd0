"""Sweeps are checked before they start, look for the best score, and may run over files."""

import csv

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rooftop.config.command_line import compose_for_check, expand_glob

NAMES = ("plain.tif", "a b.tif", "c,d.tif", "it's.tif", "back\\slash.tif", "e.png", "17.tif")
SPACE = "optimizer.lr=tag(log,interval(0.001,0.01))"


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (["seed=0,one,2"], "seed"),
        (["loss=bce,dise,dice"], "loss=dice"),
        (["model.depth=2,3", "loss=bce,dice", "threshold=0.5,high"], "threshold"),
    ],
)
def test_every_value_of_an_axis_is_checked_before_the_sweep_starts(run_script, tmp_path, axes, message):
    code, text = run_script("train", "-m", *axes, f"hydra.sweep.dir={tmp_path}/sweep")
    assert code == 2, text
    assert message in text
    assert len(text.strip().splitlines()) == 1, text
    assert not list(tmp_path.iterdir())


def test_a_wrong_value_beyond_those_checked_is_a_row_of_the_table(run_script, tiny, tmp_path, fast, monkeypatch):
    monkeypatch.setattr("rooftop.config.command_line.MOST", 1)
    code, text = run_script(
        *("train", "-m", *fast, f"data.root={tiny}", "trainer.max_epochs=1"),
        *("seed=0,one", f"hydra.sweep.dir={tmp_path}/sweep"),
    )
    assert code == 1, text
    rows = table(tmp_path / "sweep" / "sweep.csv")
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert "seed" in rows[1]["error"]


@pytest.mark.parametrize(
    ("more", "direction"), [([], "maximize"), (["monitor.name=val/loss", "monitor.mode=min"], "minimize")]
)
def test_optuna_is_told_which_way_is_better(more, direction):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    asked = ["-m", "hydra/sweeper=optuna", SPACE, *more]
    told = compose_for_check("train", asked).arguments
    assert f"hydra.sweeper.direction={direction}" in told
    assert [argument for argument in told if "direction" not in argument] == asked


def test_a_direction_that_was_given_stays():
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    asked = ["hydra/sweeper=optuna", SPACE, "hydra.sweeper.direction=minimize", "-m"]
    assert compose_for_check("train", asked).arguments == asked


@pytest.mark.slow
def test_optuna_finds_the_best_of_its_trials(run_script, tiny, tmp_path, fast):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    code, text = run_script(
        *("train", "-m", *fast, f"data.root={tiny}", "trainer.max_epochs=1", "hydra/sweeper=optuna", SPACE),
        *("hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", f"hydra.sweep.dir={tmp_path}/sweep"),
    )
    assert code == 0, text
    scores = [float(row["monitor"]) for row in table(tmp_path / "sweep" / "sweep.csv")]
    found = (tmp_path / "sweep" / "optimization_results.yaml").read_text()
    assert f"best_value: {max(scores)}" in found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "city" / "north").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "city" / name).touch()
    (tmp_path / "city" / "north" / "deep.tif").touch()
    return tmp_path


def values(override):
    return [value if isinstance(value, str) else str(value) for value in _unquoted(override)]


def _unquoted(override):
    parsed = OverridesParser.create().parse_override(override)
    for element in parsed._value.list if parsed.is_sweep_override() else [parsed._value]:
        yield getattr(element, "text", element)


def test_names_come_back_sorted_whatever_they_look_like(folder):
    expected = sorted(f"city/{name}" for name in NAMES if name.endswith(".tif"))
    assert values(expand_glob("source=glob(city/*.tif)", folder)) == expected


def test_lists_exclusions_and_folders(folder):
    assert values(expand_glob("source=glob([city/*.png, city/p*], exclude='*.tif')", folder)) == ["city/e.png"]
    assert "city/north/deep.tif" in values(expand_glob("source=glob(city/**/*.tif)", folder))


def test_groups_and_other_arguments_stay(folder):
    (folder / "model").mkdir()
    for argument in ("model=glob(*)", "source=city/e.png", "--help", "source=glob(", "-m"):
        assert expand_glob(argument, folder) == argument
