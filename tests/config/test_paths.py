import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from rooftop.config import shell_list, shell_setting
from rooftop.config.paths import KEYS, PROJECT, hydra_setting, shipped, with_paths
from rooftop.config.schema import SCHEMAS, keys
from rooftop.files import visible


@pytest.mark.parametrize(
    "path",
    [
        "outputs/train/2026-01-01_10-00-00",
        "/data/Dächer von Österreich",
        "a b/it's",
        'a"b',
        "C:/x",
        "x=y,z",
        "(1)",
        "end \\",
        'a\\"b',
    ],
)
def test_a_setting_comes_through_shell_and_hydra_as_it_was(path):
    (argument,) = shlex.split(shell_setting("run", path))
    for typed in (argument, hydra_setting("run", path)):
        override = OverridesParser.create().parse_override(typed)
        assert (override.key_or_group, override.value()) == ("run", path)


def test_what_comes_with_the_project_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped("data/banepa") == str(PROJECT / "data" / "banepa")
    (tmp_path / "data" / "banepa").mkdir(parents=True)
    assert shipped("data/banepa") == "data/banepa"
    assert shipped("data/nowhere") == "data/nowhere"


def test_every_path_of_the_schema_is_known():
    """A key whose meaning speaks of a folder or file; paths of a split are inside of data.root."""
    inside, others = (
        re.compile(r"data\.(train|val|test|mix\.NAME)\."),
        {"data.name", "data.place", "data.scale", "data.source", "formats", "gsd", "init"},
    )
    found = {
        key.name
        for script in SCHEMAS
        for key in keys(script)
        if re.search(r"\b(folder|file)s?\b", key.meaning) and not inside.match(key.name)
    }
    more = {"predictions", "callbacks.start.run"}  # "COCO results"; an argument of a target
    assert found - others | more == {*KEYS}


def test_paths_in_yaml_may_start_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    cfg = OmegaConf.create(
        {"data": {"root": "~/set", "mix": {"a": {"images": "~/a"}}}, "predictions": ["~/b", "c"], "source": "~other"}
    )
    assert OmegaConf.to_container(with_paths(cfg)) == {
        "data": {"root": f"{tmp_path}/set", "mix": {"a": {"images": f"{tmp_path}/a"}}},
        "predictions": [f"{tmp_path}/b", "c"],
        "source": "~other",
    }


@pytest.mark.parametrize("script", ["make_masks", "check_data"])
def test_paths_mean_the_folder_of_the_command_after_hydra_left_it(run_script, tiny, tmp_path, script):
    assert tiny == tmp_path / "tiny"
    more = ["fix=clean"] if script == "check_data" else []
    code, text = run_script(script, "data.root=tiny", "hydra.run.dir=out", "hydra.job.chdir=true", *more)
    assert code == 0, text
    assert sorted(path.name for path in visible(tmp_path)) == ["clean"] * len(more) + ["out", "outputs", "tiny"]
    told = next(line for line in text.splitlines() if "next: " in line).split()[3:]
    for setting in told:
        key, _, value = setting.partition("=")
        assert key == "data" or (tmp_path / value).exists(), setting


def test_a_training_tells_its_folder_from_there_too(run_script, tiny, tmp_path, fast):
    settings = ("data.root=tiny", "trainer.max_epochs=1", "hydra.run.dir=out", "hydra.job.chdir=true")
    code, text = run_script("train", *fast, *settings)
    assert code == 0, text
    assert "python evaluate.py run=out" in text
    assert "tensorboard --logdir out\n" in text
    assert run_script("evaluate", "run=out", "data.root=tiny", "hydra.job.chdir=true")[0] == 0


@pytest.mark.parametrize(
    "values",
    [
        ["building"],
        ["roof, red", 'a "b"', "back\\", 'c\\"d'],
        ["null", "1", "1e3", "True", ""],
        [0.1, 3],
        [[0, 9.5], [1, 2]],
    ],
)
def test_a_list_survives_the_shell_and_hydra(values):
    (argument,) = shlex.split(shell_list("data.categories", values))
    (parsed,) = OverridesParser.create().parse_overrides([argument])
    assert parsed.key_or_group == "data.categories"
    assert parsed.value() == values
