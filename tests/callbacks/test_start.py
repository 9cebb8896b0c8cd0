"""Trainings that start from weights, through the real script.

Levels of an encoder that stay as they are, through the real script.
"""

import json
import shlex

import pytest
import torch
from safetensors.torch import load_file


@pytest.fixture
def start(run_script, trained, tiny, fast, tmp_path):
    """start(*overrides) -> (exit code, text): trains from the run `trained`, into `tmp_path / "more"`."""
    begin = f"+callbacks.start={{_target_: rooftop.callbacks.RunStart, run: {trained}}}"

    def run(*overrides):
        folder = f"hydra.run.dir={tmp_path / 'more'}"
        return run_script("train", *fast, f"data.root={tiny}", folder, begin, "trainer.max_epochs=1", *overrides)

    return run


def test_training_goes_on_from_the_weights_of_a_run(start, trained, tmp_path):
    code, text = start("optimizer.lr=0", "callbacks.average=null", "scheduler=none")
    assert code == 0, text
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "more"))
    same = [name for name in before if "running" not in name and "num_batches" not in name]
    assert len(same) > 5
    assert all(torch.equal(before[name], after[name]) for name in same)


def test_a_further_target_starts_from_random_weights_and_the_roof_from_the_run(start, trained, tmp_path):
    code, text = start("data.targets=[roof,core,edge]", "optimizer.lr=0", "callbacks.average=null", "scheduler=none")
    assert code == 0, text
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "more"))
    grown = {name for name in before if before[name].shape != after[name].shape}
    assert grown == {"head.weight", "head.bias"}
    assert all(torch.equal(before[name], after[name][:2]) for name in grown)
    assert after["head.weight"][2:].abs().sum() > 0


def test_other_targets_than_the_run_learned_are_one_sentence(start, trained, tmp_path):
    assert start("data.targets=[roof,core]")[0] == 0
    more = (tmp_path / "more").rename(tmp_path / "further")
    code, text = start(f"callbacks.start.run={more}", "data.targets=[roof,edge]")
    assert code == 2
    assert "was trained on ['roof', 'core'], not ['roof', 'edge']" in text


def test_a_target_that_is_not_learned_here_is_dropped(start, run_script, trained, tmp_path):
    kept = ("optimizer.lr=0", "callbacks.average=null", "scheduler=none")
    assert start("data.targets=[roof,core]", *kept)[0] == 0
    more = (tmp_path / "more").rename(tmp_path / "further")
    code, text = start(f"callbacks.start.run={more}", "data.targets=[roof]", *kept)
    assert code == 0, text
    before, after = (load_file(folder / "model.safetensors") for folder in (more, tmp_path / "more"))
    assert torch.equal(before["head.weight"][:1], after["head.weight"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.width=8", "has another network"),
        ("data.mean=[0.1,0.2,0.3]", "set 'data.mean=[0.42"),
    ],
)
def test_another_network_or_normalisation_is_one_sentence(start, override, said):
    code, text = start(override)
    assert code == 2
    assert said in text


@pytest.mark.parametrize("learned", [["house", "shed"], []])
def test_other_categories_than_the_run_learned_are_one_sentence(start, trained, learned):
    card = json.loads((trained / "card.json").read_text())
    (trained / "card.json").write_text(json.dumps(card | {"categories": learned}))
    code, text = start()
    assert code == 2
    assert f"was trained on the categories {', '.join(learned)}, not building; start without it: " in text


def test_a_run_of_one_category_tells_which_of_several_to_choose(start, tiny):
    path = tiny / "annotations" / "train.json"
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 100, "name": "tower, high"}, {"id": 7, "name": "shed"}]
    document["annotations"][0]["category_id"] = 7
    path.write_text(json.dumps(document))
    (tiny / "annotations" / "test.json").write_text(
        (tiny / "annotations" / "test.json").read_text().replace('"building"', '"tower, high"')
    )
    split = "data.categories=null"
    code, text = start(split, "data.test=null")
    assert code == 2
    assert "not tower, high, shed; set 'data.categories=[\"tower, high\"]'." in text
    (told,) = shlex.split(text.split("; set ")[1].split("]'.")[0] + "]'")
    code, text = start(told, "data.test=null")
    assert code == 0, text


def test_a_run_that_does_not_exist_is_named(start, trained):
    (trained / "card.json").unlink()
    code, text = start()
    assert code == 2
    assert "has no card.json" in text


def test_the_card_says_to_which_distances_windows_were_scaled(start, tmp_path):
    code, text = start("data.window={size: [32, 32], gsd: [0.4, 0.8]}")
    assert code == 0, text
    assert json.loads((tmp_path / "more" / "card.json").read_text())["gsd_range"] == [0.4, 0.8]


def test_a_run_that_learned_with_another_scale_is_one_sentence(start, trained):
    card = json.loads((trained / "card.json").read_text())
    card["preparation"] |= {"bands": [1, 2, 3], "scale": [[0, 9.5]] * 3}
    (trained / "card.json").write_text(json.dumps(card))
    code, text = start()
    assert code == 2
    assert "set 'data.scale=[[0,9.5],[0,9.5],[0,9.5]]'" in text


@pytest.fixture
def train(run_script, tiny, fast, tmp_path):
    """train(*overrides) -> (exit code, text): a small network with an encoder, one epoch, into `tmp_path / name`."""
    plain = [override for override in fast if not override.startswith("model.")]

    def run(name, *overrides):
        base = ("model=unet_efficientnet_lite0", "model.decoder=[8,8,8,8]", "optimizer.lr=0.01")
        folder = f"hydra.run.dir={tmp_path / name}"
        return run_script("train", *plain, *base, f"data.root={tiny}", folder, "trainer.max_epochs=1", *overrides)

    return run


def upper(name):
    """Whether a weight belongs to the two upper levels of the encoder: stem and blocks 0 to 2 of Lite0."""
    return name.startswith(("encoder._conv_stem", "encoder._bn0", *(f"encoder._blocks.{i}." for i in range(3))))


@pytest.mark.slow
def test_frozen_levels_keep_weights_and_statistics_and_the_others_learn(train, tmp_path):
    begin = "++callbacks.start={_target_: rooftop.callbacks.RunStart, run: %s}"
    assert train("first", "callbacks.start=null")[0] == 0
    freeze = "+callbacks.freeze={_target_: rooftop.callbacks.Freeze, levels: 2}"
    code, text = train("second", begin % (tmp_path / "first"), freeze, "trainer.max_epochs=2")
    assert code == 0, text
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert not [name for name in moved if upper(name)]
    assert {name for name in before if "weight" in name and not upper(name)} <= moved
    assert [name for name in moved if "running_mean" in name]


def test_a_network_without_encoder_cannot_be_frozen(run_script, fast, tiny):
    freeze = "+callbacks.freeze={_target_: rooftop.callbacks.Freeze, levels: 2}"
    code, text = run_script("train", *fast, f"data.root={tiny}", freeze)
    assert code == 2
    assert "callbacks.freeze: the network has no encoder" in text
