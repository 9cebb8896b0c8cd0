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


class OfOthers(nn.Module):
    """A network of another package, which uses the parts of a Sequential one by one."""

    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, image):
        plain = self.parts[0](image)
        return plain + self.parts[1](plain)


def test_networks_of_others_are_not_folded():
    torch.manual_seed(0)
    network = nn.Sequential(OfOthers(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    for _ in range(3):
        network(torch.randn(4, 3, 24, 40) * 3 + 1)
    network.eval()
    folded, image = fold_batch_norm(network), torch.randn(2, 3, 33, 57)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)
    assert isinstance(folded[0].parts[1], nn.BatchNorm2d)
    assert not isinstance(folded[2], nn.BatchNorm2d)
