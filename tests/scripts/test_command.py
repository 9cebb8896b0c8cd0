"""The command `rooftop`: its list, its mistakes, and the same scripts behind it."""

import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rooftop import scripts
from rooftop.config.paths import TYPED_AS
from rooftop.config.schema import SCHEMAS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def rooftop(monkeypatch, tmp_path, capsys):
    """rooftop("predict", "source=city.tif") -> (exit code, text), in an empty folder."""
    entry = EntryPoint("rooftop", PROJECT["scripts"]["rooftop"], "console_scripts").load()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TYPED_AS, "")  # as it was afterwards
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["rooftop", *words])
        try:
            entry()
            code = 0
        except SystemExit as leave:
            code = int(leave.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_each_script_is_a_command():
    assert {*scripts.SCRIPTS} == {*SCHEMAS}
    for name in SCHEMAS:
        assert (ROOT / "rooftop" / "scripts" / f"{name}.py").is_file()
        assert f"python {name}.py" in (ROOT / f"{name}.py").read_text(), "the door says how it is typed"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_command_there_is_a_short_list(rooftop, words):
    code, text = rooftop(*words)
    assert code == 0
    assert len(text.splitlines()) < 16
    for name in (
        "predict",
        "train",
        "evaluate",
        "adapt",
        "check-data",
        "make-masks",
        "make-tiles",
        "make-synthetic",
        "export",
    ):
        assert f"rooftop {name} " in text


def test_the_version(rooftop):
    from rooftop import __version__

    assert rooftop("--version") == (0, f"rooftop {__version__}\n")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("predct", "did you mean rooftop predict?"),
        ("make_mask", "did you mean rooftop make-masks?"),
        ("source=city.tif", "commands are predict, train, evaluate, adapt, check-data,"),
    ],
)
def test_a_mistyped_command_is_one_sentence(rooftop, tmp_path, word, hint):
    code, text = rooftop(word)
    assert code == 2
    assert text.startswith(f"error: rooftop has no command {word}: {hint}")
    assert len(text.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_a_mistyped_key_is_one_sentence(rooftop):
    assert rooftop("train", "sede=1") == (2, "error: unknown configuration key sede: did you mean seed?\n")


@pytest.mark.parametrize("name", ["predict", "make-masks"])
def test_help_shows_what_to_type(rooftop, name):
    code, text = rooftop(name, "--help")
    assert code == 0
    assert f"  rooftop {name} " in text
    assert "python " not in text


def test_the_next_command_is_one_of_rooftop(rooftop, tiny, caplog):
    with caplog.at_level(logging.INFO):
        code, text = rooftop("make_masks", f"data.root={tiny}", "hydra.run.dir=masks", "processes=1")
    assert code == 0, text
    assert "next: rooftop train data=banepa" in text + caplog.text
    assert "python train.py" not in text + caplog.text


def test_what_is_started_again_is_the_script(rooftop, tiny):
    """Lightning starts further processes with `python sys.argv[0] sys.argv[1:]`, as a script without a module."""
    assert rooftop("make-masks", f"data.root={tiny}", "init=true", "--config-path", str(ROOT / "conf"))[0] == 0
    assert Path(sys.argv[0]) == ROOT / "make_masks.py"
    assert sys.argv[1] == f"--config-path={ROOT / 'conf'}"
    assert sys.modules["__main__"].__spec__ is None
