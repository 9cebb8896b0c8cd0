"""A run as ONNX: any size, raw pictures in, the network's own probabilities out."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
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


class Identity(nn.Module):
    """Its logits are the normalised image: first the roofs of two categories, then another target."""

    def forward(self, image):
        return image


class Plugin:
    """What Deepness 0.6 and 0.7 do with a file, written anew after its source.

    `get_metadata_*`, `preprocessing`: PUTvision/qgis-plugin-deepness, src/deepness/processing/models/model_base.py;
    the number of layers: models/segmentor.py; the mask: map_processor/map_processor_segmentation.py `_process_tile`;
    tiles: processing/tile_params.py and extent_utils.py `calculate_extended_processing_extent`.
    """

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        ((batch, self.channels, height, self.tile),) = [entry.shape for entry in self.session.get_inputs()]
        ((_, layers, *shape),) = [entry.shape for entry in self.session.get_outputs()]
        assert (batch, height) == (1, self.tile)
        assert shape == [self.tile, self.tile]
        told = {name: self.json(value) for name, value in self.session.get_modelmeta().custom_metadata_map.items()}
        names = sorted(told["class_names"].items(), key=lambda pair: int(pair[0]))
        assert [int(number) for number, _ in names] == list(range(max(layers, 2)))
        self.names, self.kind = [name for _, name in names], str(told["model_type"]).capitalize()
        self.resolution = float(told["resolution"]) if "resolution" in told else None
        self.overlap = int(self.tile * int(told["tiles_overlap"]) / 100 * 2) // 2
        self.threshold, self.blur = float(told["seg_thresh"]), int(told["seg_small_segment"]) // 2 * 2 + 1
        self.mean, self.std = (np.array(told[f"standardization_{name}"], np.float32) for name in ("mean", "std"))
        assert (self.tile, len(self.mean)) == (int(told["tile_size"]), self.channels)

    @staticmethod
    def json(value):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return None

    def classes(self, pixels):
        """Values of a tile (T, T, C) -> number of its class, int (T, T)."""
        image = (np.float32(pixels[..., : self.channels] / 255) - self.mean) / self.std
        (result,) = self.session.run(None, {self.session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]})
        result[result < self.threshold] = 0
        return (result[0, 0] != 0).astype(int) if result.shape[1] == 1 else result[0].argmax(0)

    def mask(self, pixels):
        """Values of a raster (H, W, C) -> classes (H, W), tile by tile; outside the raster there is 0."""
        height, width = pixels.shape[:2]
        stride, half = self.tile - self.overlap, self.overlap // 2
        down, across = (-(-max(side - self.tile, 0) // stride) + 1 for side in (height, width))
        # it fills up at the top and on the right
        rows, columns = (self.tile + (number - 1) * stride for number in (down, across))
        whole = np.zeros((rows, columns, pixels.shape[2]), pixels.dtype)
        whole[rows - height :, :width] = pixels
        answer = np.zeros((rows, columns), int)
        for i, j in np.ndindex(down, across):
            top, left = i * stride, j * stride
            found = self.classes(whole[top : top + self.tile, left : left + self.tile])
            y0, y1 = half * (i > 0), self.tile - half * (i < down - 1)
            x0, x1 = half * (j > 0), self.tile - half * (j < across - 1)
            answer[top + y0 : top + y1, left + x0 : left + x1] = found[y0:y1, x0:x1]
        return answer[rows - height :, :width]


def test_deepness_finds_our_roofs_on_a_real_picture(tmp_path):
    run = load("pretrained/rooftop-unet")
    assert export.write_deepness(run, tmp_path / "m.onnx", tile=128) < export.TOLERANCE
    plugin = Plugin(tmp_path / "m.onnx")
    assert (plugin.kind, plugin.names, plugin.blur) == ("Segmentor", ["background", "roof"], 1)
    assert (plugin.resolution, plugin.threshold, plugin.overlap) == (30, 0.35, 25)
    picture = np.array(Image.open("data/banepa/images/test/18_193344_110119.jpg"))[64:192, 64:192]
    probability = own(run, picture[None])[0, 0]
    roofs, clear = probability >= run.card.threshold, abs(probability - run.card.threshold) > export.TOLERANCE
    assert 0.1 < roofs.mean() < 0.9
    assert (plugin.mask(picture) == roofs)[clear].all()


def test_deepness_puts_tiles_together(make_run, tmp_path):
    """A network that looks at each pixel alone: tiles of 64 px over 150 x 91 px give the answer of the whole."""
    run = make_run(Identity(), mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    run.card.categories.pop()
    export.write_deepness(run, tmp_path / "m.onnx", tile=64)
    pixels = noise(150, 91)
    probability = 1 / (1 + np.exp(-(pixels[..., 0] / 255 - 0.5) / 0.5))
    assert (Plugin(tmp_path / "m.onnx").mask(pixels) == (probability >= 0.4)).all()


def test_deepness_gets_the_largest_category_or_background(make_run, tmp_path):
    """Two categories beside a target that is not theirs: 0.5 is a logit of 0, so roof and tank are above 0.4 here."""
    run = make_run(Identity(), mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    run.card.targets.append("core")
    run.card.network["classes"] = 4
    export.write_deepness(run, tmp_path / "m.onnx", tile=64)
    plugin = Plugin(tmp_path / "m.onnx")
    assert plugin.names == ["background", "roof", "tank"]
    colours = {(255, 0, 255): 1, (0, 255, 0): 2, (200, 255, 0): 2, (255, 200, 0): 1, (0, 0, 255): 0}
    assert (plugin.threshold, plugin.resolution) == (0.4, 50)
    for colour, category in colours.items():
        assert (plugin.classes(np.full((64, 64, 3), colour, np.uint8)) == category).all(), colour


def test_deepness_gets_16_bit_values_as_they_are(make_run, tmp_path):
    """Each band is brought from its scale to [0, 1], then normalised; sigmoid((1 - 0.5) / 0.25) = 0.8808."""
    scale = {"bands": [4, 3, 2], "scale": [[100, 1100], [0, 2000], [0, 10000]]}
    run = make_run(Identity(), mean=[0.5, 0.25, 0.5], std=[0.25, 0.25, 0.5], **scale)
    export.write_deepness(run, tmp_path / "m.onnx", tile=64)
    plugin = Plugin(tmp_path / "m.onnx")
    pixels = np.full((64, 64, 3), (1100, 500, 0), np.uint16)
    image = ((np.float32(pixels / 255) - plugin.mean) / plugin.std).transpose(2, 0, 1)[None]
    (found,) = plugin.session.run(None, {"picture": image})
    np.testing.assert_allclose(found[0, :, 0, 0], [0, 0.8808, 0.5], atol=1e-4)


def test_deepness_asks_for_the_resolution_where_the_card_has_none(make_run, tmp_path):
    run = make_run(unet(2))
    export.write_deepness(replace(run, card=replace(run.card, gsd=None)), tmp_path / "m.onnx", tile=64)
    assert Plugin(tmp_path / "m.onnx").resolution is None


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


def test_script_writes_for_deepness(run_script, trained, tmp_path):
    code, text = run_script("export", f"run={trained}", "form=deepness", "tile=64", f"hydra.run.dir={tmp_path / 'out'}")
    assert code == 0, text
    assert Plugin(tmp_path / "out" / "model.onnx").tile == 64


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("run=nowhere", "is no folder"),
        ("rum=x", "did you mean run?"),
        ("form=qgis", "form"),
        ("tile=8", "from 64 to 4096"),
    ],
)
def test_script_says_what_is_wrong(run_script, override, said):
    code, text = run_script("export", override)
    assert code == 2
    assert said in text
