"""The eight-bit model of a run: what it answers, where it is stored, when it is made anew."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install -e '.[export]'")
pytest.importorskip("onnx", reason="pip install -e '.[export]'")

from rooftop.errors import ConfigError, DataError, RunError  # noqa: E402
from rooftop.inference import Predictor, open_predictor  # noqa: E402
from rooftop.int8 import int8_logits, model, write_int8  # noqa: E402
from rooftop.int8.calibrate import calibration_pictures  # noqa: E402
from rooftop.raster.picture import read_picture  # noqa: E402
from rooftop.run import Card, Run, load  # noqa: E402

ROOT = Path(__file__).parents[2]
TILE = ROOT / "data/banepa/images/test/18_193345_110118.jpg"


class Bright(nn.Module):
    """Roofs are what is brighter than the middle: logits of 12 times the difference, blurred."""

    def __init__(self):
        super().__init__()
        self.grey, self.blur, self.end = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 1, 1)
        with torch.no_grad():
            for layer, weight in ((self.grey, 1 / 3), (self.blur, 1 / 9), (self.end, 3.0)):
                layer.weight.fill_(weight)
                layer.bias.zero_()

    def forward(self, x):
        return self.end(self.blur(self.grey(x)))


@pytest.fixture
def run(tmp_path):
    (folder := tmp_path / "run").mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    content = {"mean": [0.45] * 3, "std": [0.5] * 3, "size": None}
    return Run(folder, Card({}, content, ["roof"], threshold=0.4, gsd=0.5), Bright().eval())


def test_a_file_for_other_programs_gives_the_probabilities(run, tmp_path):
    assert write_int8(run, tmp_path / "m.onnx", calibrate=None) > 0.97
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    picture = read_picture(TILE)[:131, :97]
    (probability,) = session.run(["probability"], {"picture": picture[None]})
    exact = Predictor(run, device="cpu").probability(picture)
    assert probability.shape == (1, 1, 131, 97)
    assert 0 < np.abs(probability[0] - exact).max() < 0.05
    assert json.loads(session.get_modelmeta().custom_metadata_map["threshold"]) == 0.4


def test_the_model_is_made_once_for_the_same_weights(run, monkeypatch):
    picture = torch.from_numpy(read_picture(TILE)[None])
    first = int8_logits(run, calibrate=None)(picture)
    assert (run.folder / "int8.onnx").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(model, "_make", lambda *_: pytest.fail("made again"))
        assert torch.equal(int8_logits(run, calibrate=None)(picture), first)
    (run.folder / "model.safetensors").write_bytes(b"others")
    run.network.end.weight.data *= -1
    assert torch.allclose(int8_logits(run, calibrate=None)(picture), -first, atol=0.2)


@pytest.mark.parametrize("content", [b"", b"damaged", b"\x08\x07"])
def test_a_damaged_model_is_made_anew(run, content):
    (run.folder / "int8.onnx").write_bytes(content)
    int8_logits(run, calibrate=None)
    assert len((run.folder / "int8.onnx").read_bytes()) > 1000


def test_a_run_that_cannot_be_written_to_has_its_model_elsewhere(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write = model.atomic_write

    def refused(path):
        if path.parent == run.folder:
            raise PermissionError(path)
        return write(path)

    monkeypatch.setattr(model, "atomic_write", refused)
    int8_logits(run, calibrate=None)
    assert not (run.folder / "int8.onnx").exists()
    assert len([*(tmp_path / "outputs/.int8").glob("*.onnx")]) == 1
    monkeypatch.setattr(model, "_make", lambda *_: pytest.fail("made again"))
    int8_logits(run, calibrate=None)


def test_other_pictures_make_it_anew(run, tmp_path, monkeypatch):
    (folder := tmp_path / "pictures").mkdir()
    Image.fromarray(read_picture(TILE)).save(folder / "a.png")
    int8_logits(run, calibrate=None)
    made, make = [], model._make
    monkeypatch.setattr(model, "_make", lambda *given: made.append(len(given[1])) or make(*given))
    for calibrate in (folder, folder, None):  # without a folder, the stored one will do
        int8_logits(run, calibrate=calibrate)
    assert made == [1]


def test_a_network_that_loses_too_much_is_refused(run, monkeypatch):
    monkeypatch.setattr(model, "_agreement", lambda *_: 0.9)
    with pytest.raises(RunError, match=r"agree with those of float32 to 90.0% only; use engine=onnxruntime"):
        int8_logits(run, calibrate=None)
    assert not (run.folder / "int8.onnx").exists()


def test_as_few_convolutions_stay_exact_as_the_masks_allow(run, tmp_path, monkeypatch):
    agreements = iter([0.96, 0.975, 0.981, 0.99])
    monkeypatch.setattr(model, "_quantised", lambda _, count, __: str(count).encode())
    monkeypatch.setattr(model, "_masks", lambda *_: [])
    monkeypatch.setattr(model, "_agreement", lambda *_: next(agreements))
    monkeypatch.setattr(model, "_with_sigmoid", lambda made: made)
    monkeypatch.setattr(model, "with_metadata", lambda made, _: made)
    monkeypatch.setattr(model, "session", lambda content: None)
    assert write_int8(run, tmp_path / "m.onnx", calibrate=None) == 0.981
    assert (tmp_path / "m.onnx").read_bytes() == b"6"


def test_embedded_pictures_have_the_metres_per_pixel_of_the_run(run):
    pictures = calibration_pictures(run, None)
    assert [picture.shape for picture in pictures] == [(271, 271, 3)] * 12  # 256 px of 0.53 m at 0.5 m
    finer = replace(run, card=replace(run.card, gsd=0.3))
    assert {picture.shape for picture in calibration_pictures(finer, None)} == {(320, 320, 3)}


def test_pictures_are_asked_for_in_one_sentence(run, tmp_path):
    four = {"mean": [0.5] * 4, "std": [0.5] * 4, "size": None, "bands": [1, 2, 3, 4], "scale": [(0, 255)] * 4}
    with pytest.raises(ConfigError, match="reads other bands than the embedded pictures have; name a folder"):
        calibration_pictures(replace(run, card=replace(run.card, preparation=four)), None)
    with pytest.raises(ConfigError, match="no such folder"):
        calibration_pictures(run, tmp_path / "nowhere")
    with pytest.raises(DataError, match="no picture"):
        calibration_pictures(run, run.folder)


def test_engines_are_refused_in_one_sentence(run, monkeypatch):
    for settings, said in (
        ({"engine": "tensorrt"}, "engine=tensorrt is unknown; choose torch, onnxruntime or int8"),
        ({"engine": "int8", "device": "cuda"}, "device=cuda: engine=int8 works on the CPU only"),
        ({"calibrate": "photos"}, "calibrate=photos is for engine=int8"),
    ):
        with pytest.raises(ConfigError, match=said):
            open_predictor(run, **settings)
    monkeypatch.setattr("rooftop.inference.engines.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"engine=int8 needs the package onnx, .* or use engine=torch"):
        open_predictor(run, engine="int8")


@pytest.mark.slow
def test_shipped_weights_find_the_same_roofs(tmp_path):
    path = tmp_path / "m.onnx"
    run = load(ROOT / "pretrained/rooftop-unet")
    assert write_int8(run, path, calibrate=None) >= 0.975
    assert path.stat().st_size < 8e6
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = np.asarray(Image.fromarray(read_picture(TILE)).resize((452, 452), Image.Resampling.BICUBIC))
    found = session.run(None, {"picture": picture[None]})[0][0, 0] >= run.card.threshold
    exact = Predictor(run, device="cpu").probability(picture)[0] >= run.card.threshold
    assert (found & exact).sum() / (found | exact).sum() > 0.97
