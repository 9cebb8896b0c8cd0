"""A run as ONNX: any size, raw pictures in, the network's own probabilities out."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from rooftop import export
from rooftop.errors import ConfigError, RunError
from rooftop.models import EncoderUNet, UNet
from rooftop.run import Card, Run, load

pytest.importorskip("onnx", reason="pip install -e '.[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install -e '.[export]'")
ODD = (1, 65, 97), (1, 1, 1), (2, 64, 128), (3, 1, 200), (1, 31, 7)


@pytest.fixture
def make_run(tmp_path):
    """A run in memory around a network of three bands and two categories."""

    def make(network, **preparation):
        content = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "size": None, **preparation}
        card = Card({"_target_": type(network).__name__}, content, ["roof", "tank"], threshold=0.4, gsd=0.5)
        return Run(tmp_path / "run", card, network.eval())

    return make


def unet(depth, **choices):
    torch.manual_seed(0)
    plain = {"norm": "batch", "activation": "relu", "upsampling": "bilinear", "dropout": 0.1}
    network = UNet(in_channels=3, classes=2, depth=depth, width=4, **{**plain, **choices})
    network(torch.randn(2, 3, 128, 64))  # moves the running statistics of batch norm
    return network


def noise(*size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def answer(path, pictures):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"picture": pictures})[0]


def own(run, pictures):
    with torch.inference_mode():
        return export.Raw(run)(torch.from_numpy(pictures)).sigmoid().numpy()


@pytest.mark.parametrize("depth", range(2, 8))
def test_any_size_and_batch_at_every_depth(make_run, tmp_path, depth):
    run = make_run(unet(depth))
    off = export.write_onnx(run, tmp_path / "m.onnx")
    assert 0 < off < export.TOLERANCE
    for size in ODD:
        pictures = noise(*size)
        found = answer(tmp_path / "m.onnx", pictures)
        assert found.shape == (size[0], 2, *size[1:])
        np.testing.assert_allclose(found, own(run, pictures), atol=1e-4)


@pytest.mark.parametrize(
    "choices",
    [
        {"norm": "group", "activation": "silu", "upsampling": "transposed"},
        {"norm": "instance", "activation": "gelu"},
        {"norm": "none", "activation": "elu"},
        {"activation": "leaky_relu"},
    ],
    ids=lambda choices: "-".join(choices.values()),
)
def test_every_brick(make_run, tmp_path, choices):
    run = make_run(unet(4, **choices))
    export.write_onnx(run, tmp_path / "m.onnx")
    np.testing.assert_allclose(answer(tmp_path / "m.onnx", noise(1, 65, 97)), own(run, noise(1, 65, 97)), atol=1e-4)


@pytest.mark.parametrize(
    ("stride", "decoder"), [(1, [16, 8, 8, 4]), pytest.param(2, [16, 8, 8, 4, 4], marks=pytest.mark.slow)]
)
def test_encoder(make_run, tmp_path, stride, decoder):
    torch.manual_seed(0)
    choices = {"norm": "batch", "activation": "relu", "dropout": 0.0}
    network = EncoderUNet(in_channels=3, classes=2, variant=0, stem_stride=stride, decoder=decoder, **choices)
    run = make_run(network)
    export.write_onnx(run, tmp_path / "m.onnx")
    for size in ODD:
        np.testing.assert_allclose(answer(tmp_path / "m.onnx", noise(*size)), own(run, noise(*size)), atol=1e-4)


def test_the_file_tells_what_the_card_says(make_run, tmp_path):
    export.write_onnx(make_run(unet(2)), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    told = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert told["categories"] == ["roof", "tank"]
    assert (told["threshold"], told["gsd"]) == (0.4, 0.5)
    assert (told["mean"], told["std"], told["size"]) == ([0.4, 0.5, 0.6], [0.2, 0.3, 0.25], None)
    assert "network" not in told
    (picture,) = session.get_inputs()
    assert (picture.type, picture.shape) == ("tensor(uint8)", ["batch", "height", "width", 3])


class Wrong(nn.Module):
    """A network whose graph depends on the size it was traced at."""

    def forward(self, image):
        return image[:, :2] * (0.0 if image.shape[-1] == 97 else 9.0)


@pytest.mark.parametrize("write", [export.write_onnx, lambda run, path: export.onnx_logits(run)])
def test_a_network_that_answers_otherwise_is_refused_and_nothing_is_written(make_run, tmp_path, write):
    with pytest.raises(RunError, match="answers otherwise, by up to"):
        write(make_run(Wrong()), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


class Unknown(nn.Module):
    """A network of an operator that ONNX has not."""

    def forward(self, image):
        return torch.special.bessel_j0(image[:, :2])


def test_a_network_that_onnx_cannot_say_is_named(make_run, tmp_path):
    with pytest.raises(RunError, match="run: its network cannot be written as ONNX"):
        export.write_onnx(make_run(Unknown()), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_missing_packages_end_in_one_sentence(make_run, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=rf"package {missing}, which is not installed; pip install -e '\.\[export\]'"):
        export.write_onnx(make_run(unet(2)), tmp_path / "m.onnx")


def test_they_are_imported_late():
    code = "import sys, rooftop.export; sys.exit(bool({'onnx', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_script_writes_the_run(run_script, trained, tmp_path):
    code, text = run_script("export", f"run={trained}", f"hydra.run.dir={tmp_path / 'out'}")
    assert code == 0, text
    run, pictures = load(trained), noise(1, 48, 80)
    np.testing.assert_allclose(answer(tmp_path / "out" / "model.onnx", pictures), own(run, pictures), atol=1e-4)


@pytest.mark.parametrize(("override", "said"), [("run=nowhere", "is no folder"), ("rum=x", "did you mean run?")])
def test_script_says_what_is_wrong(run_script, override, said):
    code, text = run_script("export", override)
    assert code == 2
    assert said in text
