import pytest
import torch

from rooftop.models import UNet

PLAIN = {"in_channels": 3, "classes": 1, "width": 4, "norm": "batch", "activation": "relu", "dropout": 0.0}


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("size", [(65, 97), (1, 1), (48, 80)])
def test_output_has_the_size_of_the_input_at_every_depth(depth, size):
    network = UNet(depth=depth, upsampling="bilinear", **{**PLAIN, "width": 2}).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
@pytest.mark.parametrize("activation", ["relu", "elu", "leaky_relu", "silu", "gelu"])
def test_every_brick_trains(upsampling, norm, activation):
    torch.manual_seed(0)
    kwargs = {**PLAIN, "norm": norm, "activation": activation, "dropout": 0.1}
    network = UNet(depth=3, upsampling=upsampling, **kwargs)
    network(torch.randn(2, 3, 33, 49)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not silent


def test_channels_and_classes_are_free():
    network = UNet(depth=2, upsampling="bilinear", **{**PLAIN, "in_channels": 5, "classes": 3})
    assert network(torch.zeros(1, 5, 9, 14)).shape == (1, 3, 9, 14)


def test_original_widths_are_16_to_256_and_dropout_is_a_level_each():
    kwargs = {**PLAIN, "width": 16, "norm": "none", "activation": "elu", "dropout": [0.1, 0.2, 0.2, 0.2, 0.3]}
    network = UNet(depth=5, upsampling="transposed", **kwargs)
    assert [block.layers[0].out_channels for block in network.encoder] == [16, 32, 64, 128, 256]
    assert [block.layers[3].p for block in network.encoder] == [0.1, 0.2, 0.2, 0.2, 0.3]
    assert [block.layers[3].p for block in network.decoder] == [0.2, 0.2, 0.2, 0.1]


def test_fill_does_not_touch_pictures_that_fit():
    """A picture filled up inside gives what the filled picture gives, cut back."""
    torch.manual_seed(0)
    network = UNet(depth=3, upsampling="bilinear", **PLAIN).eval()
    image = torch.randn(1, 3, 30, 45)
    filled = torch.nn.functional.pad(image, (0, 3, 0, 2), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(network(image), network(filled)[..., :30, :45])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"depth": 8}, "depth=8 is outside 2 to 7"),
        ({"norm": "btach"}, "norm=btach is unknown; choose one of batch"),
        ({"activation": "rleu"}, "activation=rleu is unknown"),
        ({"upsampling": "nearest"}, "upsampling=nearest is unknown"),
        ({"dropout": [0.1, 0.2]}, "dropout has 2 values, but depth=3 levels need one each"),
    ],
)
def test_wrong_values_are_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        UNet(**{**PLAIN, "depth": 3, "upsampling": "bilinear", **wrong})
