"""Channels of a network get equal ranges, and its answers stay."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime", reason="pip install -e '.[export]'")
onnx = pytest.importorskip("onnx", reason="pip install -e '.[export]'")

from rooftop.export import Raw, onnx_of, session  # noqa: E402
from rooftop.int8.equalise import equalise  # noqa: E402
from rooftop.int8.model import _ranges  # noqa: E402
from rooftop.run import Card, Run  # noqa: E402


class Uneven(nn.Module):
    """Unequal channels that meet in a sum, a concatenation and convolutions with groups."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.alone, self.paired = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(12, 6, 1, groups=3)
        self.last = nn.Conv2d(6, 1, 1)
        with torch.no_grad():
            for layer in (self.first, self.second, self.alone):
                layer.weight *= torch.logspace(-2, 1, 6)[:, None, None, None]

    def forward(self, x):
        x = self.first(x)
        x = torch.relu(x + self.second(x))  # the sum ties both
        x = torch.cat([x, self.alone(x).clamp(0, 6)], 1)  # the bounded half cannot be scaled
        return self.last(self.paired(nn.functional.interpolate(x, scale_factor=2.0)))


def spread(ranges, end):
    """Largest channel over smallest, of what an operation writes; a channel that is always 0 does not count."""
    ((low, high),) = [ranges[name] for name in ranges if name.endswith(f"{end}_output_0")]
    peak = np.maximum(-low, high)
    return float(peak.max() / peak[peak > 0].min())


def test_answers_stay_and_ranges_come_closer(tmp_path):
    preparation = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "size": None}
    run = Run(tmp_path, Card({}, preparation, ["roof"], threshold=0.5), Uneven().eval())
    content = onnx_of(run, Raw(run))
    model = onnx.load_from_string(content)
    pictures = [np.random.default_rng(i).integers(0, 256, (32, 40, 3), dtype=np.uint8) for i in range(2)]
    before = _ranges(model, pictures)
    told = equalise(model, before)
    answers = [session(content)(pictures[0][None]) for content in (content, model.SerializeToString())]
    assert np.abs(answers[0] - answers[1]).max() < 1e-4 * np.abs(answers[0]).max()
    assert spread(before, "Relu") > 50
    assert spread(told, "Relu") < spread(before, "Relu") / 3
    assert spread(told, "alone/Conv") == pytest.approx(spread(before, "alone/Conv"), rel=1e-3), "a bound fixes them"
    for name, ends in _ranges(model, pictures).items():  # what is told is what is there
        assert np.allclose(ends, told[name], rtol=1e-3, atol=1e-4), name
