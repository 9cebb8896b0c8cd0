"""Sweeps are checked before they start, look for the best score, and may run over files."""

import csv
from importlib import metadata

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rooftop.config.command_line import compose_for_check, expand_class, expand_glob
from rooftop.config.paths import with_home
from rooftop.errors import ConfigError
from rooftop.files import visible

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
    ("choice", "package"),
    [
        ("hydra/launcher=joblib", "hydra-joblib-launcher"),
        ("hydra/launcher=submitit_local", "hydra-submitit-launcher"),
        ("hydra/launcher=submitit_slurm", "hydra-submitit-launcher"),
        ("hydra/sweeper=optuna", "hydra-optuna-sweeper"),
    ],
)
def test_a_plugin_that_is_not_installed_is_named_with_its_extra(run_script, tmp_path, monkeypatch, choice, package):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    code, text = run_script("predict", "-m", "source=glob(city/*.tif)", choice, "hydra.launcher.n_jobs=4")
    assert code == 2
    assert text == f"error: {choice} needs the package {package}, which is not installed; pip install -e '.[sweep]'.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("hydra.launcher.n_jobs=4", "choose another one before it: hydra/launcher=joblib or hydra/launcher=submitit_"),
        ("hydra.sweeper.n_trials=9", "choose another one before it: hydra/sweeper=optuna"),
        ("optimizer.lr=interval(0.1,1)", "add hydra/sweeper=optuna"),
        ("hydra/launcher=submitit", "did you mean hydra/launcher=submitit_"),
        ("hydra/job_logging=null", "choose one of default, disabled, none, short, stdout"),
    ],
)
def test_settings_of_a_plugin_that_was_not_chosen_say_which_to_choose(run_script, tmp_path, override, remedy):
    code, text = run_script("train", "-m", "seed=1", override)
    assert code == 2
    assert remedy in text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("choice", ["default", "disabled", "none", "short", "stdout"])
def test_logging_of_hydra_can_be_chosen(run_script, tiny, tmp_path, choice):
    where = (f"data.root={tiny}", f"hydra.run.dir={tmp_path}/run")
    code, text = run_script("make_masks", *where, f"hydra/job_logging={choice}")
    assert code == 0, text
    assert ("10 masks made" in text) == (choice != "disabled")
    assert (tmp_path / "run" / "make_masks.log").is_file() == (choice in ("default", "short"))


@pytest.mark.parametrize("choice", ["disabled", "none"])
def test_logging_of_a_sweep_can_be_chosen(run_script, tiny, tmp_path, choice):
    where = (f"data.root={tiny}", f"hydra.sweep.dir={tmp_path}/sweep", "limit=1,2")
    code, text = run_script("make_masks", "-m", *where, f"hydra/hydra_logging={choice}")
    assert code == 0, text
    assert "Launching" not in text
    assert len(table(tmp_path / "sweep" / "sweep.csv")) == 2


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("source=~/city.tif", "source=HOME/city.tif"),
        ("source='~/city.tif'", "source='HOME/city.tif'"),
        ('hydra.run.dir="~/out"', 'hydra.run.dir="HOME/out"'),
        ("run=[~/a,'~/b', ~/c]", "run=[HOME/a,'HOME/b', HOME/c]"),
        ("+data.val={images: ~/a, masks: '~/b'}", "+data.val={images: HOME/a, masks: 'HOME/b'}"),
        ("source=glob(~/city/*.tif)", "source=glob(HOME/city/*.tif)"),
        ("data.root=~/a,~/b", "data.root=HOME/a,HOME/b"),
        ("~callbacks/best", "~callbacks/best"),
        ("data.root=a~/b", "data.root=a~/b"),
        ("source=https://x.org/~someone/a.tif", "source=https://x.org/~someone/a.tif"),
    ],
)
def test_the_home_folder_is_found_where_a_shell_does_not(monkeypatch, tmp_path, typed, read):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert with_home(typed) == read.replace("HOME", str(tmp_path))


@pytest.mark.parametrize("quote", ["", "'"])
def test_no_setting_makes_a_folder_called_tilde(run_script, tiny, tmp_path, monkeypatch, quote):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    tiny.rename(tmp_path / "set")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "set").symlink_to(tmp_path / "set")
    paths = {"data.root": "set", "hydra.run.dir": "out", "fix": "clean", "data.cache": "cache"}
    code, text = run_script("check_data", *(f"{key}={quote}~/{name}{quote}" for key, name in paths.items()))
    assert code == 0, text
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["cache", "clean", "out", "set"]
    assert sorted(path.name for path in visible(tmp_path)) == ["home", "set"]
    assert f"data.root={tmp_path}/home/set" in text


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


# --- options ---


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder `mine` of configurations beside the working folder's files."""
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "loss" / "mine.yaml").write_text("_target_: rooftop.losses.BCE\n")
    (tmp_path / "mine" / "whole.yaml").write_text("defaults: [train, _self_]\nseed: 7\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


@pytest.mark.parametrize(
    "words",
    [
        ("loss=mine", "--config-dir=mine"),
        ("--config-dir", "mine", "loss=mine"),
        ("seed=1", "-cd", "mine", "loss=mine"),
        ("loss=mine", "hydra.searchpath=[mine]"),
        ("hydra.searchpath=[file://mine]", "loss=mine"),
    ],
)
def test_own_configurations_are_found_and_checked(own, words):
    command = compose_for_check("train", [*words])
    assert command.folder is not None
    with pytest.raises(ConfigError, match="unknown configuration key sede: did you mean seed"):
        compose_for_check("train", [*words, "sede=1"])
    with pytest.raises(ConfigError, match="no such choice loss=mime: did you mean loss=mine"):
        compose_for_check("train", [word.replace("loss=mine", "loss=mime") for word in words])


def test_options_come_first_and_keep_their_folders(own):
    command = compose_for_check("train", ["seed=1,2", "--config-dir", "mine", "-m", "loss=mine"])
    assert command.arguments == ["--multirun", f"--config-dir={own}", "seed=1,2", "loss=mine"]


def test_a_root_configuration_of_ones_own(own, run_script):
    code, text = run_script("train", "--config-dir=mine", "--cfg", "job", "--config-name", "whole")
    assert code == 0, text
    assert "seed: 7" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seed=1", "--config-dir", "nowhere"), "--config-dir=nowhere: no such folder in "),
        (("--config-path=nowhere",), "--config-path=nowhere: no such folder in "),
        (("hydra.searchpath=[nowhere]",), "hydra.searchpath: nowhere: no such folder in "),
        (("--confg-dir=mine",), "--confg-dir is no option: did you mean --config-dir?"),
        (("--cfg", "jobs"), "invalid choice: 'jobs'"),
        (("--cfg", "job", "sede=1"), "unknown configuration key sede: did you mean seed?"),
        (("--help", "loss=dise"), "no such choice loss=dise: did you mean loss=dice?"),
        (("--config-name=whule",), "whule"),
    ],
)
def test_a_wrong_option_is_one_sentence(run_script, tmp_path, words, message):
    code, text = run_script("train", *words)
    assert code == 2
    assert message in text
    assert len(text.strip().splitlines()) == 1, text
    assert not [*tmp_path.iterdir()]


def test_jobs_of_a_sweep_find_the_configurations_of_ones_own(own, run_script, tiny, fast):
    common = (*fast, f"data.root={tiny}", "trainer.max_epochs=1", "pictures=0", "hydra.sweep.dir=sweep")
    code, text = run_script("train", "-m", *common, "loss=mine,dice", "--config-dir=mine")
    assert code == 0, text
    assert [row["loss"] for row in table(own.parent / "sweep" / "sweep.csv")] == ["mine", "dice"]


# --- classes of other libraries ---


STEP = "{_target_: torch.optim.lr_scheduler.StepLR, step_size: 5}"


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_a_class_replaces_the_file_of_its_group(plus):
    assert expand_class(f"{plus}scheduler={STEP}") == ["scheduler=own", f"++scheduler={STEP}"]
    assert compose_for_check("train", [f"{plus}scheduler={STEP}"]).arguments == ["scheduler=own", f"++scheduler={STEP}"]


@pytest.mark.parametrize(
    "argument", ["scheduler=cosine", f"callbacks.x={STEP}", "data={_target_: a.B}", f"loss={STEP},{STEP}"]
)
def test_other_settings_stay_as_they_are(argument):
    assert expand_class(argument) == [argument]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("scheduler={step_size: 5}", "unknown configuration key scheduler.step_size: did you mean scheduler.rise?"),
        (
            "scheduler={step_size: 5}",
            "choose one of cosine, none, onecycle, own, plateau, or name a class: 'scheduler={",
        ),
        ("scheduler=[step]", "scheduler=step: there is no such file; choose one of cosine, "),
        ("scheduler=5", "scheduler=5: choose one of cosine, "),
        ("scheduler=own", "scheduler._target_ is not set"),
        (
            "loss={_target_: torch.nn.BCEWithLogitLoss}",
            "torch.nn has no BCEWithLogitLoss; did you mean BCEWithLogitsLoss?",
        ),
    ],
)
def test_the_reason_of_a_failed_override_is_told_with_the_choices(argument, said):
    with pytest.raises(ConfigError) as caught:
        compose_for_check("train", [argument])
    assert said in str(caught.value)
