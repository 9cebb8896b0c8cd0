import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rooftop.config import shell_setting
from rooftop.config.paths import PROJECT, shipped


@pytest.mark.parametrize(
    "path",
    ["outputs/train/2026-01-01_10-00-00", "/data/Dächer von Österreich", "a b/it's", 'a"b', "C:/x", "x=y,z", "(1)"],
)
def test_a_setting_comes_through_shell_and_hydra_as_it_was(path):
    (argument,) = shlex.split(shell_setting("run", path))
    override = OverridesParser.create().parse_override(argument)
    assert (override.key_or_group, override.value()) == ("run", path)


def test_what_comes_with_the_project_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped("data/banepa") == str(PROJECT / "data" / "banepa")
    (tmp_path / "data" / "banepa").mkdir(parents=True)
    assert shipped("data/banepa") == "data/banepa"
    assert shipped("data/nowhere") == "data/nowhere"
