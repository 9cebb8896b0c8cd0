import pytest
import torch
from torch import nn

from rooftop.models import EncoderUNet, UNet
from rooftop.models.fold import fold_batch_norm

PLAIN = {"in_channels": 3, "classes": 2, "norm": "batch", "activation": "relu", "dropout": 0.1}


def unet():
    return UNet(**PLAIN, depth=3, width=4, upsampling="bilinear")


def encoder_unet():
    return EncoderUNet(**PLAIN, variant=0, stem_stride=1, decoder=[16, 8, 8, 4])


@pytest.mark.parametrize(("make", "norms"), [(unet, 10), (encoder_unet, 1 + 2 + 15 * 3 + 8)])
def test_folded_network_says_the_same_without_batch_norm(make, norms):
    torch.manual_seed(0)
    network = make()
    for _ in range(3):
        network(torch.randn(4, 3, 24, 40) * 3 + 1)  # moves the running statistics
    network.eval()
    folded = fold_batch_norm(network)
    image = torch.randn(2, 3, 33, 57)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len([module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]) == norms
