"""A stored configuration is data of a stranger: the schema of train.py is all that is taken from it."""

import random
import shutil
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore

from rooftop.config.command_line import compose_for_check, expand_resume
from rooftop.config.run_config import RESUMED, register_stored
from rooftop.errors import RooftopError, RunError
from tests.mutate import mutated

STORED_RUN = Path(__file__).parents[1] / "golden" / "run"


@pytest.fixture
def run(tmp_path):
    """A copy of the stored run folder."""
    return Path(shutil.copytree(STORED_RUN, tmp_path / "run"))


def change(run: Path, **values: object) -> None:
    """Change top-level keys of the stored configuration."""
    path = run / ".hydra" / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}, sort_keys=False))


def refused(run: Path) -> str:
    """Return the sentence with which a stored configuration is refused."""
    with pytest.raises(RunError) as caught:
        register_stored(run)
    assert str(run / ".hydra" / "config.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(run))
    return str(caught.value)


def test_the_settings_of_a_run_come_back_as_they_are(run):
    stored = register_stored(run)
    assert stored.model.width == 4
    assert stored._get_node("callbacks").best._get_node("dirpath")._value() == "${hydra:runtime.output_dir}/checkpoints"
    compose_for_check("train", [f"resume={run}"])


@pytest.mark.parametrize("key", ["hydra", "defaults", "more"])
def test_nothing_outside_the_schema_is_taken(run, tmp_path, key):
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "owned.log")}
    node = {"job_logging": {"handlers": {"file": handler}}}
    change(run, **{key: [{"override hydra/launcher": "x"}] if key == "defaults" else node})
    assert f"{key} is no key of train.py; remove it" in refused(run)
    with pytest.raises(RunError, match=f"{key} is no key"):
        compose_for_check("train", [f"resume={run}"])
    assert not (tmp_path / "owned.log").exists()


def test_other_files_beside_the_configuration_are_no_groups_of_hydra(run):
    (run / ".hydra" / "output.yaml").write_text("# @package hydra\njob_logging: {root: {level: EVIL}}\n")
    (run / ".hydra" / "hydra" / "job_logging").mkdir(parents=True)
    (run / ".hydra" / "hydra" / "job_logging" / "default.yaml").write_text("version: EVIL\n")
    arguments = expand_resume([f"resume={run}"])
    assert "--config-path" not in arguments
    assert "EVIL" not in str(ConfigStore.instance().load(f"{RESUMED}.yaml").node)


@pytest.mark.parametrize(
    "value",
    ["${oc.env:HOME}", "${oc.decode:'{a: 1}'}", "${hydra:runtime.cwd}", "x${oc.create:{a: 1}}", "${${seed}:a}"],
)
def test_an_interpolation_that_reads_from_outside_is_refused(run, value):
    data = yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["data"]
    change(run, data={**data, "root": value})
    assert f"data.root={value} reads from outside this file; write its value" in refused(run)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is missing"),
        (b"text", "text is no key of train.py"),
        (b"[1, 2]", "a list"),
        (b"a: [", "not a stored configuration"),
        (bytes(range(256)), "not a stored configuration"),
        (b"\x00" * 100, "not a stored configuration"),
        (b"seed: !!python/object/apply:os.mkdir [owned]", "not a stored configuration"),
        (b"seed: &a [1]\ndata: [*a, *a]", "a reference to another node"),
        (b"seed: " + b"[" * 5000 + b"]" * 5000, "more than 20 nodes inside one another"),
        (b"seed: 0\n" * 2, "not a stored configuration"),
        (b"# " + b"a" * 2**18, "more than 262,144 bytes"),
        (b"seed: " + b"9" * 5000, "not a stored configuration"),
    ],
)
def test_what_is_no_configuration_is_one_sentence(run, content, said):
    (run / ".hydra" / "config.yaml").write_bytes(content)
    assert said in refused(run)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": "text"}, "seed"),
        ({"seed": "${seed}"}, "Recursive interpolation detected"),
        ({"seed": None}, "seed"),
        ({"data": None}, "data"),
        ({"monitor": {"name": "val/iou", "mode": "min"}}, "monitor.mode=min"),
        ({"callbacks": [1]}, "callbacks holds several settings"),
        ({"callbacks": False}, "callbacks holds several settings"),
        ({"callbacks": {1: {}}}, "callbacks.1 has no _target_"),
        ({"optimizer": 5}, "optimizer has no _target_"),
        ({"model": {"_target_": "os.mkdir", "path": "owned"}}, "outside the allowed packages"),
        ({"trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": "text"}}, "trainer.max_epochs=text"),
        ({"compile": "perhaps"}, "compile"),
    ],
)
def test_a_wrong_value_is_named(run, values, said):
    change(run, **values)
    assert said in refused(run)


@pytest.mark.parametrize(
    ("key", "held"),
    [("choose_threshold", False), ("data.gaps", False), ("data.draws", None), ("data.targets", ["roof"])]
    + [(f"data.{name}", None) for name in ("mix", "window", "bands", "scale", "percentiles")],
)
def test_a_run_from_before_a_key_resumes_with_what_held_then(run, key, held):
    content = yaml.safe_load((run / ".hydra" / "config.yaml").read_text())
    group, _, name = key.rpartition(".")
    del (content[group] if group else content)[name]
    (run / ".hydra" / "config.yaml").write_text(yaml.safe_dump(content))
    stored = register_stored(run)
    assert (stored[group] if group else stored)[name] == held


def passes(run: Path) -> bool:
    """Return whether a stored configuration passes; if not, it ends in one sentence with the file."""
    try:
        register_stored(run)
        return True
    except RooftopError as error:
        said = str(error)
    assert str(run / ".hydra" / "config.yaml") in said
    assert "\n" not in said
    return False


def test_damaged_configurations_are_one_sentence_or_pass_the_check(run):
    path = run / ".hydra" / "config.yaml"
    content, passed = yaml.safe_load(path.read_text()), 0
    for seed in range(60):
        path.write_text(yaml.safe_dump(mutated(content, random.Random(seed))), encoding="utf-8")
        passed += passes(run)
    assert 6 < passed < 45


def test_damaged_bytes_are_one_sentence_or_pass_the_check(run):
    path = run / ".hydra" / "config.yaml"
    text = path.read_bytes()
    for seed in range(40):
        rng = random.Random(seed)
        i = rng.randrange(len(text))
        pieces = (b"", bytes([rng.randrange(256)]), b"${", b"\n", b": ", b"- ", b"*a", b"&a ", b"9" * 5000)
        path.write_bytes(text[:i] + rng.choice(pieces) + text[i + rng.choice((0, 1, 20, len(text))) :])
        passes(run)
