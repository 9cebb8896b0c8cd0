"""U-Nets of other people, to measure ours against: a stand-in for milesial/Pytorch-UNet, and MONAI's two.

MONAI 1.6 has to be installed (`pip install --no-deps monai`).
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from rooftop.models import UNet

WIDTH, DEPTH = 16, 5  # of conf/model/unet.yaml


class Double(nn.Sequential):
    """Two convolutions with batch norm, as in milesial/Pytorch-UNet."""

    def __init__(self, channels: int, out: int, middle: int | None = None) -> None:
        middle = middle or out
        layers = []
        for a, b in ((channels, middle), (middle, out)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Milesial(nn.Module):
    """Stand-in for milesial/Pytorch-UNet: what lies below is enlarged, then concatenated with the skip.

    Args:
        width: channels of the first level.
        depth: levels.
        bilinear: enlarge by interpolation, which there halves the channels of all that is enlarged; else by transposed
            convolutions, the default there.
    """

    def __init__(self, width: int, depth: int, *, bilinear: bool) -> None:
        super().__init__()
        widths, part = [width * 2**level for level in range(depth)], 2 if bilinear else 1
        self.down = nn.ModuleList(
            Double(a, b) for a, b in zip([3, *widths[:-1]], [*widths[:-1], widths[-1] // part], strict=True)
        )
        rising = range(depth - 2, -1, -1)
        enlarge = partial(nn.Upsample, scale_factor=2, mode="bilinear", align_corners=True)
        self.enlarge = nn.ModuleList(
            enlarge() if bilinear else nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2)
            for level in rising
        )
        self.up = nn.ModuleList(
            Double(2 * widths[level], widths[level] // (part if level else 1), widths[level]) for level in rising
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, 1, H, W)."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for enlarge, block, skip in zip(self.enlarge, self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, enlarge(x)], dim=1))
        return self.head(x)


def ours() -> nn.Module:
    """The default network."""
    return UNet(
        in_channels=3, classes=1, depth=DEPTH, width=WIDTH, norm="batch", activation="relu", dropout=0.0,
        upsampling="bilinear",
    )  # fmt: skip


def monai_basic(width: int) -> nn.Module:
    """MONAI's BasicUNet; its own widths are 32, 32, 64, 128, 256, 32, which are kept in proportion."""
    from monai.networks.nets import BasicUNet

    features = tuple(width * factor for factor in (1, 1, 2, 4, 8, 1))
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=features, norm="batch")


def monai_unet(width: int) -> nn.Module:
    """MONAI's UNet with strided convolutions, and two residual units a level as its tutorials have it."""
    from monai.networks.nets import UNet as MonaiUNet

    channels = tuple(width * 2**level for level in range(DEPTH))
    strides = (2,) * (DEPTH - 1)
    return MonaiUNet(2, 3, 1, channels=channels, strides=strides, num_res_units=2, norm="batch")


def parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def at_equal_parameters(make: Callable[[int], nn.Module], wanted: int) -> nn.Module:
    """The width whose number of parameters comes nearest."""
    return make(min(range(4, 64), key=lambda width: abs(parameters(make(width)) - wanted)))
