"""U-Net decoder on any encoder: the encoder gives a list of feature maps, the decoder takes them from the bottom up.

An encoder is a `nn.Module` of the keyword `in_channels`: image (B, C, H, W), with H and W multiples of the last stride,
-> list of feature maps from the top down, map i of the shape (B, channels[i], H / strides[i], W / strides[i]).

Attributes:
    channels: of each feature map.
    strides: of each feature map: powers of 2, each larger than the one before.

Two methods are optional. `rooftop.callbacks` asks the network for them, and the network its encoder:

    upper(levels): list of the modules that make the first feature maps, for `Freeze`.
    load_published(): puts published weights into the encoder, for `ImageNetStart`.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rooftop.errors import ConfigError
from rooftop.models.blocks import ConvBlock, enlarge, fill_to_multiple, he_normal
from rooftop.models.efficientnet import EfficientNetLite


class EncoderDecoder(nn.Module):
    """An encoder, and a U-Net decoder with a skip connection to each of its feature maps.

    Args:
        in_channels: bands of the picture.
        classes: K, channels of the logits.
        encoder: an encoder, or a function of `in_channels` that makes one, as `_partial_: true` in YAML does.
        decoder: channels of the decoder's blocks from the bottom to the top. Each doubles the size, so that a last
            stride of 32 needs five; where the encoder has no feature map of that size, the block has no skip
            connection.
        norm: of the decoder: batch, group, instance or none.
        activation: of the decoder.
        dropout: share of the bottom level's channels set to 0 while training.

    Raises:
        ValueError: a value outside its range, or feature maps that do not halve; the message names it.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        encoder: Callable[..., nn.Module],
        decoder: Sequence[int],
        norm: str,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        module: Any = encoder if isinstance(encoder, nn.Module) else encoder(in_channels=in_channels)
        channels, strides = _levels(module)
        self.multiple = strides[-1]
        skips = dict(zip(strides[:-1], channels, strict=False))
        joined = [skips.get(2**i, 0) for i in range(self.multiple.bit_length() - 2, -1, -1)]
        if len(decoder) != len(joined):
            raise ValueError(
                f"decoder has {len(decoder)} values, but a last stride of {strides[-1]} needs {len(joined)}"
            )
        self.joins = [channels > 0 for channels in joined]
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = nn.ModuleList(
            ConvBlock(below + skip, out, norm=norm, activation=activation, dropout=0.0)
            for below, skip, out in zip([channels[-1], *decoder[:-1]], joined, decoder, strict=True)
        )
        self.head = nn.Conv2d(decoder[-1], classes, 1)
        he_normal(self)
        self.encoder = module  # after he_normal, which would give filters of one channel too large a spread

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image float (B, C, H, W) of any size -> logits (B, K, H, W)."""
        height, width = image.shape[-2:]
        *skips, x = self.encoder(fill_to_multiple(image, self.multiple))
        x = self.dropout(x)
        for block, joins in zip(self.decoder, self.joins, strict=True):
            x = enlarge(x, training=self.training)
            if joins:
                x = torch.cat([x, skips.pop()], dim=1)  # no name keeps the parts: a third of the memory at the top
            x = block(x)
        return self.head(x)[..., :height, :width]  # type: ignore[no-any-return]

    def upper(self, levels: int) -> list[nn.Module]:
        """Return the modules that make the encoder's first feature maps.

        Raises:
            ConfigError: the encoder does not tell, or has fewer.
        """
        if not hasattr(self.encoder, "upper"):
            raise ConfigError(f"callbacks.freeze: {type(self.encoder).__name__} has no method upper; set it to null.")
        if not 0 <= levels <= (known := len(self.encoder.channels)):
            raise ConfigError(f"callbacks.freeze.levels={levels}: the encoder has {known} levels; choose 0 to {known}.")
        return self.encoder.upper(levels)  # type: ignore[no-any-return]

    def load_published(self) -> None:
        """Put published weights into the encoder.

        Raises:
            ConfigError: there are none for this encoder, or they are not on this machine.
        """
        if not hasattr(self.encoder, "load_published"):
            name = type(self.encoder).__name__
            raise ConfigError(f"callbacks.start: {name} has no method load_published; set it to null.")
        self.encoder.load_published()


def _levels(encoder: Any) -> tuple[list[int], list[int]]:
    """Return channels and strides of an encoder's feature maps.

    Raises:
        ValueError: they are missing, or do not fit together.
    """
    name = type(encoder).__name__
    try:
        channels, strides = [int(each) for each in encoder.channels], [int(each) for each in encoder.strides]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{name} is no encoder: it needs lists channels and strides, of its feature maps") from error
    rise = all(low < high for low, high in pairwise([0, *strides]))
    if len(channels) != len(strides) or not rise or any(each & (each - 1) for each in strides) or not strides:
        raise ValueError(
            f"{name} has the channels {channels} and strides {strides}; a decoder needs as many of both, and strides "
            "that are powers of 2, each larger than the one before"
        )
    if strides[-1] < 2:
        raise ValueError(f"{name} has no feature map smaller than the picture; its strides are {strides}")
    return channels, strides


class EncoderUNet(EncoderDecoder):
    """EfficientNet-Lite encoder, U-Net decoder with skip connections.

    Built with random weights; `rooftop.callbacks.ImageNetStart` loads the ImageNet weights into `encoder` at the
    start of a training. Prediction needs only the run folder.

    Args:
        in_channels: bands of the picture.
        classes: K, channels of the logits.
        variant: of EfficientNet-Lite: 0, 1 or 2.
        stem_stride: 2 is the published encoder; 1 has every level at twice its size. See `EfficientNetLite`.
        decoder: channels of the decoder's blocks from the bottom to the top, four of them; with stem_stride=2 a
            fifth, at the picture's size and without skip connection.
        norm: of the decoder: batch, group, instance or none.
        activation: of the decoder.
        dropout: share of the bottom level's channels set to 0 while training.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        variant: int,
        stem_stride: int,
        decoder: Sequence[int],
        norm: str,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            classes=classes,
            encoder=EfficientNetLite(in_channels=in_channels, variant=variant, stem_stride=stem_stride),
            decoder=decoder,
            norm=norm,
            activation=activation,
            dropout=dropout,
        )
