"""Bricks of the networks: B pictures, C channels, H x W pixels."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
}
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "none": lambda channels: nn.Identity(),
}


def choose(name: str, table: dict[str, Callable[..., nn.Module]], what: str) -> Callable[..., nn.Module]:
    """Look a brick up by name.

    Raises:
        ValueError: no such brick; the message lists those there are.
    """
    if name not in table:
        raise ValueError(f"{what}={name} is unknown; choose one of {', '.join(sorted(table))}")
    return table[name]


class ConvBlock(nn.Module):
    """Convolution 3 x 3, norm, activation, dropout, and once more without dropout: (B, C, H, W) -> (B, D, H, W).

    Args:
        channels: of the input, C.
        out: of the output, D.
        norm: a key of `NORMS`.
        activation: a key of `ACTIVATIONS`.
        dropout: share of values set to 0 between the convolutions while training.
    """

    def __init__(self, channels: int, out: int, *, norm: str, activation: str, dropout: float) -> None:
        super().__init__()
        make_norm = choose(norm, NORMS, "norm")
        act = choose(activation, ACTIVATIONS, "activation")
        biased = norm == "none"
        self.layers = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=biased),
            make_norm(out),
            act(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Conv2d(out, out, 3, padding=1, bias=biased),
            make_norm(out),
            act(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, H, W)."""
        return self.layers(x)  # type: ignore[no-any-return]


class DenseGradient(torch.autograd.Function):
    """Hands a tensor on; its gradient is laid out as the tensor is.

    The gradient of one part of a concatenation is a slice with gaps between its pixels, and bilinear interpolation
    takes several times as long to go back from such a one on a CPU: 9 % of a training step (benchmarks/train_step.py).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(B, C, H, W), as it is."""
        ctx.last = x.is_contiguous(memory_format=torch.channels_last)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """(B, C, H, W), without gaps."""
        return gradients[0].contiguous(memory_format=torch.channels_last if ctx.last else torch.contiguous_format)


def enlarge(x: Tensor, *, training: bool) -> Tensor:
    """Twice the size by bilinear interpolation: (B, C, H, W) -> (B, C, 2H, 2W); training: gradients are wanted."""
    larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return DenseGradient.apply(larger) if training else larger  # type: ignore[no-untyped-call]


class BilinearUp(nn.Module):
    """Twice the size by bilinear interpolation, then a 1 x 1 convolution: (B, C, H, W) -> (B, D, 2H, 2W)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, 2H, 2W); mixing first is the same map at a quarter of the work."""
        return enlarge(self.mix(x), training=self.training)


UPSAMPLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "bilinear": BilinearUp,
    "transposed": lambda channels, out: nn.ConvTranspose2d(channels, out, 2, stride=2),
}


def he_normal(network: nn.Module) -> None:
    """Draw convolution weights after He et al. 2015 (normal, fan-in); biases start at 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def fill_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples: (B, C, H, W) -> (B, C, H', W').

    Repetition instead of zeros keeps a dark frame from looking like the edge of something.
    """
    below, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x
