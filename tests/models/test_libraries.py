"""timm and segmentation_models_pytorch are optional: without them only the sentence is tested."""

import os
import sys
from functools import partial

import pytest
import torch

from rooftop.errors import ConfigError
from rooftop.models import SMP, EncoderDecoder, TimmEncoder

DECODER = {"decoder": [16, 8, 8, 8, 8], "norm": "batch", "activation": "relu", "dropout": 0.0}


def network(name, **more):
    encoder = partial(TimmEncoder, name=name, **more)
    return EncoderDecoder(in_channels=4, classes=2, encoder=encoder, **DECODER)


@pytest.mark.parametrize(
    ("library", "make", "extra"),
    [
        ("timm", lambda: TimmEncoder(in_channels=3, name="resnet18"), "timm"),
        ("segmentation_models_pytorch", lambda: SMP(in_channels=3, classes=1, arch="Unet", encoder_name="x"), "smp"),
    ],
)
def test_missing_library_is_one_sentence_with_the_command(monkeypatch, library, make, extra):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match=rf"extra {extra} cannot be imported .*pip install -e '\.\[{extra}\]'"):
        make()


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100"])
def test_encoders_of_timm_take_any_bands_and_sizes(name):
    pytest.importorskip("timm", reason="the extra timm is not installed")
    made = network(name)
    made(torch.randn(2, 4, 64, 96)).sum().backward()
    with torch.no_grad():
        assert made.eval()(torch.zeros(1, 4, 65, 97)).shape == (1, 2, 65, 97)
    shares = [sum(p.numel() for m in made.upper(level) for p in m.parameters(recurse=False)) for level in range(6)]
    assert shares == sorted(set(shares))
    assert shares[0] == 0
    assert shares[-1] == sum(p.numel() for p in made.encoder.parameters())


def test_weights_of_timm_come_from_a_file_and_fit_other_bands(tmp_path):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    there = timm.create_model("resnet18")
    torch.save(there.state_dict(), tmp_path / "resnet18.pth")
    made = network("resnet18", pretrained=str(tmp_path / "resnet18.pth"))
    made.load_published()
    body = made.encoder.body
    assert torch.equal(body.layer4[1].conv2.weight, there.layer4[1].conv2.weight)
    assert body.conv1.weight.shape == (64, 4, 7, 7)


def test_weights_that_are_not_here_are_one_sentence(tmp_path):
    pytest.importorskip("timm", reason="the extra timm is not installed")
    if os.environ.get("HF_HUB_OFFLINE") != "1":
        pytest.skip("HF_HUB_OFFLINE=1 is not set: the test would ask the network")
    for wanted in (True, str(tmp_path / "none.pth")):
        with pytest.raises(ConfigError, match="the weights of resnet18 could not be loaded"):
            network("resnet18", pretrained=wanted).load_published()


def test_names_that_do_not_exist_are_one_sentence_with_near_ones():
    pytest.importorskip("segmentation_models_pytorch", reason="the extra smp is not installed")
    with pytest.raises(ConfigError, match=r"model.encoder.name=resnet19: .*resnet18"):
        network("resnet19")
    with pytest.raises(ConfigError, match="there is no such name"):
        network("hf-hub:someone/something")
    with pytest.raises(ConfigError, match=r"model.arch=Unt: .*Unet"):
        SMP(in_channels=3, classes=1, arch="Unt", encoder_name="resnet18")
    with pytest.raises(ConfigError, match=r"model.encoder_name=resnet19: .*resnet18"):
        SMP(in_channels=3, classes=1, arch="Unet", encoder_name="resnet19")


@pytest.mark.parametrize("arch", ["Unet", "FPN", "DeepLabV3Plus"])
def test_networks_of_smp_take_any_bands_and_sizes(arch):
    pytest.importorskip("segmentation_models_pytorch", reason="the extra smp is not installed")
    made = SMP(in_channels=5, classes=3, arch=arch, encoder_name="resnet18").eval()
    with torch.no_grad():
        assert made(torch.zeros(1, 5, 65, 97)).shape == (1, 3, 65, 97)
