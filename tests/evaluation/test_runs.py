"""Which runs to score, and what differs between them."""

import json

import pytest
import yaml

from rooftop.errors import RunError
from rooftop.evaluation.runs import find_runs, group_by_seed


@pytest.fixture
def train(tmp_path):
    """train("a", seed=1, depth=4, loss="dice", typed=[...]) -> a run folder, as far as its settings go."""

    def make(name, *, card=True, typed=(), loss="bce", seed=0, **model):
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        targets = {"bce": "rooftop.losses.BCE", "dice": "rooftop.losses.Dice"}
        settings = {
            "model": {"_target_": "rooftop.models.UNet", "depth": 3, **model},
            "loss": {"_target_": targets[loss]},
            "seed": seed,
            "pictures": seed,  # changes no weights
            "logger": {"csv": {"save_dir": name}},
        }
        hydra = {"hydra": {"runtime": {"choices": {"loss": loss}}, "overrides": {"task": list(typed)}}}
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings))
        (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(hydra))
        if card:
            (folder / "card.json").write_text(json.dumps({}))
        return str(folder)

    return make


def grouped(*folders):
    names = [folder.rpartition("/")[2] for folder in folders]
    return {group.label: [names[i] for i in group.members] for group in group_by_seed(folders, names)}


def test_runs_that_differ_only_by_the_seed_are_one_system_named_by_what_differs(train):
    runs = [
        train(f"{depth}{seed}", depth=depth, seed=seed, typed=[f"model.depth={depth}", f"seed={seed}", "pictures=2"])
        for depth in (3, 4)
        for seed in (0, 1)
    ]
    assert grouped(*runs) == {"model.depth=3": ["30", "31"], "model.depth=4": ["40", "41"]}


def test_choices_of_groups_are_named_as_they_are_typed(train):
    plain = train("plain")
    assert grouped(plain, train("dice", loss="dice", typed=["loss=dice"])) == {
        "loss=bce": ["plain"],
        "loss=dice": ["dice"],
    }
    changed = train("by_hand", loss="dice")  # nothing typed, as after a resume
    assert grouped(plain, changed) == {"loss=BCE": ["plain"], "loss=Dice": ["by_hand"]}


def test_a_run_that_is_there_twice_is_no_second_seed(train):
    assert grouped(train("a", seed=1), train("b", seed=1)) == {"a": ["a"], "b": ["b"]}


def test_a_run_without_stored_settings_goes_by_its_name(train, tmp_path):
    (tmp_path / "shipped").mkdir()
    own, deep = train("own"), train("deep", depth=5, typed=["model.depth=5"])
    assert grouped(str(tmp_path / "shipped"), own, deep) == {
        "shipped": ["shipped"],
        "model.depth=3": ["own"],
        "model.depth=5": ["deep"],
    }


def test_a_sweep_and_a_glob_are_their_finished_runs_in_the_order_of_their_numbers(train, tmp_path, caplog):
    jobs = [train(f"sweep/{number}") for number in (10, 2, 0)]
    train("sweep/1", card=False)
    assert find_runs([str(tmp_path / "sweep")]) == jobs[::-1]
    assert "sweep/1 is left out: it has no card.json" in caplog.text
    assert find_runs([str(tmp_path / "sweep" / "*"), "nowhere"]) == [*jobs[::-1], "nowhere"]
    with pytest.raises(RunError, match=r"run=.*other\*: no finished run matches"):
        find_runs([str(tmp_path / "other*")])
