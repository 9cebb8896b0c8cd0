import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from rooftop.config import build, build_network
from rooftop.errors import ConfigError


def test_builds_nested_targets():
    node = {
        "_target_": "rooftop.losses.WeightedSum",
        "terms": {"bce": {"_target_": "rooftop.losses.BCE"}, "dice": None},
        "weights": {"bce": 2.0, "dice": 1.0},
    }
    loss = build(node, "loss")
    assert list(loss.terms) == ["bce"]
    assert loss.weights == {"bce": 2.0}


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "rooftop.run.subprocess.run",  # a good path to a bad home
        "rooftop.files.Path.unlink",
        "torch.nn.functional.torch.hub.load",
        "rooftop_evil.Thing",
    ],
)
def test_target_outside_the_allow_list_is_refused_before_it_is_called(target):
    with pytest.raises(ConfigError, match="allowed packages"):
        build({"_target_": "rooftop.losses.WeightedSum", "terms": {"x": {"_target_": target}}, "weights": {}}, "loss")


@pytest.mark.parametrize(
    "target",
    [
        "pytorch_lightning.LightningModule.load_from_checkpoint",  # would unpickle whatever its path holds
        "pytorch_lightning.core.saving._load_from_checkpoint",
        "rooftop.task.RooftopTask.load_from_checkpoint",
        "torch.nn.Embedding.from_pretrained",
        "albumentations.load",
    ],
)
def test_methods_and_functions_of_others_are_refused(target):
    with pytest.raises(ConfigError, match="name a class|outside the allowed packages"):
        build({"_target_": target}, "model")


def test_a_card_names_networks_only(tmp_path):
    for inner in ("rooftop.files.write_json", "rooftop.callbacks.RunStart", "pytorch_lightning.Trainer"):
        node = {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": inner}]}
        with pytest.raises(ConfigError, match="outside the allowed packages"):
            build_network(node, "card.json: network")


UNET = dict(in_channels=3, classes=1, depth=2, width=4, norm="batch", dropout=0.0, upsampling="bilinear")


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${oc.decode:'{a: 1}'}", "${x}", "${", "???"])
def test_a_text_of_a_card_is_no_interpolation(text):
    with pytest.raises(ConfigError) as caught:
        build_network({"_target_": "rooftop.models.UNet", "activation": text, **UNET}, "card.json: network")
    assert f"activation={text} is unknown" in str(caught.value)


@pytest.mark.parametrize("where", ["x", "_args_"])
def test_a_target_made_by_an_interpolation_is_never_called(tmp_path, where):
    made = "${oc.create:'{_target_: os.mkdir, path: " + str(tmp_path / "owned") + "}'}"
    node = {"_target_": "torch.nn.Sequential", where: [made] if where == "_args_" else made}
    with pytest.raises(ConfigError):
        build_network(node, "card.json: network")
    assert not (tmp_path / "owned").exists()


def test_values_of_a_configuration_are_resolved_once():
    values = {"_target_": "rooftop.models.UNet", "activation": "${name}", **UNET}
    cfg = OmegaConf.create({"name": r"\${oc.env:HOME}", "model": values})
    with pytest.raises(ConfigError, match=r"activation=\$\{oc\.env:HOME\} is unknown"):
        build(cfg.model, "model")


def test_a_partial_takes_the_other_arguments_later():
    node = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5}
    optimizer = build(node, "optimizer")([nn.Parameter(torch.zeros(1))])
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_own_package_can_be_allowed(monkeypatch):
    with pytest.raises(ConfigError, match="ROOFTOP_ALLOW=package"):
        build({"_target_": "fractions.Fraction", "numerator": 3}, "model")
    monkeypatch.setenv("ROOFTOP_ALLOW", "fractions")
    assert build({"_target_": "fractions.Fraction", "numerator": 3}, "model") == 3


def test_unknown_target_names_the_key():
    with pytest.raises(ConfigError, match=r"model\._target_=rooftop\.models\.UNett cannot be imported"):
        build({"_target_": "rooftop.models.UNett"}, "model")


def test_refused_value_names_the_key():
    node = dict(in_channels=3, classes=1, depth=9, width=4, norm="batch", activation="relu", dropout=0.0)
    with pytest.raises(ConfigError, match="model: .*depth=9 is outside 2 to 7"):
        build({"_target_": "rooftop.models.UNet", "upsampling": "bilinear", **node}, "model")


def test_arguments_reach_the_topmost_target():
    node = dict(in_channels=3, depth=2, width=4, norm="batch", activation="relu", dropout=0.0, upsampling="bilinear")
    network = build({"_target_": "rooftop.models.UNet", **node}, "model", classes=3)
    assert isinstance(network, nn.Module)
    assert network.head.out_channels == 3
