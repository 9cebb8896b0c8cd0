"""The run folder is the model, and nothing in it is executed."""

import json
import pickle
from importlib.metadata import version

import pytest
import torch

from rooftop.errors import ConfigError, RooftopError, RunError
from rooftop.models import UNet
from rooftop.run import Card, load, read_card, read_checkpoint, save

NETWORK = {
    "in_channels": 3,
    "classes": 1,
    "depth": 3,
    "width": 4,
    "norm": "batch",
    "activation": "relu",
    "dropout": 0.1,
    "upsampling": "bilinear",
}


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    network = UNet(**NETWORK).to(memory_format=torch.channels_last)
    network(torch.randn(2, 3, 24, 40))  # moves the running statistics
    card = Card(
        network={"_target_": "rooftop.models.UNet", **NETWORK},
        preparation={"mean": [0.4] * 3, "std": [0.2] * 3, "size": None},
        categories=["building"],
        threshold=0.4,
        gsd=0.5,
    )
    save(tmp_path / "run", network, card)
    return tmp_path / "run", network.to(memory_format=torch.contiguous_format).eval(), card


def test_loaded_network_gives_equal_logits_and_the_card_is_the_same(run):
    folder, network, card = run
    loaded = load(folder)
    image = torch.randn(1, 3, 33, 57)
    with torch.no_grad():
        assert torch.equal(loaded.network(image), network(image))
    assert loaded.card == card
    assert not loaded.network.training


def test_card_tells_versions_and_commit(run):
    content = json.loads((run[0] / "card.json").read_text())
    assert content["versions"]["torch"] == version("torch")
    assert content["versions"]["python"]
    assert "git" in content


@pytest.mark.parametrize("missing", ["card.json", "model.safetensors"])
def test_incomplete_run_is_named(run, missing):
    (run[0] / missing).unlink()
    with pytest.raises(RunError, match="has no card.json" if missing == "card.json" else r"safetensors: no such file"):
        load(run[0])


def test_no_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="nowhere is no folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["[]", "{}", '{"network": 3}', "no json"])
def test_damaged_card_is_named(run, content):
    (run[0] / "card.json").write_text(content)
    with pytest.raises(RunError, match=r"card\.json: not a card"):
        read_card(run[0])


def test_an_old_card_lacks_keys_and_a_new_one_has_more(run):
    content = json.loads((run[0] / "card.json").read_text())
    kept = {key: content[key] for key in ("network", "preparation", "categories", "threshold")}
    (run[0] / "card.json").write_text(json.dumps({**kept, "of_tomorrow": [1]}))
    card = load(run[0]).card
    assert (card.targets, card.gsd, card.gsd_range) == (["roof"], None, None)


def test_newer_format_asks_for_an_update(run):
    content = json.loads((run[0] / "card.json").read_text())
    (run[0] / "card.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(RunError, match="format 99 is newer than this version; update rooftop"):
        load(run[0])


def test_card_that_names_foreign_code_is_refused(run, tmp_path):
    content = json.loads((run[0] / "card.json").read_text())
    content["network"] = {"_target_": "os.mkdir", "path": str(tmp_path / "owned")}
    (run[0] / "card.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="allowed packages"):
        load(run[0])
    assert not (tmp_path / "owned").exists()


def test_weights_of_another_network_are_refused(run):
    content = json.loads((run[0] / "card.json").read_text())
    content["network"]["width"] = 8
    (run[0] / "card.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="does not fit the network of card.json"):
        load(run[0])


def test_damaged_weights_are_named(run):
    path = run[0] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"model\.safetensors: damaged"):
        load(run[0])


class Malicious:
    def __reduce__(self):
        import os

        return os.mkdir, ("owned",)


def test_checkpoint_with_code_is_refused_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "evil": Malicious()}, path)
    with pytest.raises(RunError, match="refused, not executed"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(RooftopError):
        read_checkpoint(path)
    assert not (tmp_path / "owned").exists()


def test_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RunError, match=r"last\.ckpt: "):
        read_checkpoint(path)


def test_16_bit_weights_load_as_32_bit(run):
    from safetensors.torch import load_file, save_file

    path = run[0] / "model.safetensors"
    save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(path).items()}, path)
    loaded = load(run[0])
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}


def test_all_files_of_a_run_are_as_readable_as_the_card(run):
    folder, _, _ = run
    assert {path.stat().st_mode for path in folder.iterdir()} == {(folder / "card.json").stat().st_mode}
