"""U-Net after Ronneberger, Fischer and Brox 2015 (arXiv 1505.04597), with free depth and width.

Differences: 'same' convolutions keep the input's size; norm and activation are settings; inputs of any size are
padded inside, and the output is cropped.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rooftop.models.blocks import UPSAMPLINGS, ConvBlock, choose, fill_to_multiple, he_normal


class UNet(nn.Module):
    """Encoder and decoder of `depth` levels with skip connections.

    Args:
        in_channels: bands of the picture.
        classes: K, channels of the logits.
        depth: levels, the bottom included; 2 to 7. Each halves the size, so the widest view doubles with each.
        width: channels of the first level; doubled at each further one.
        norm: batch, group, instance or none.
        activation: relu, elu, leaky_relu, silu or gelu.
        dropout: share, one for all levels or one a level from the top to the bottom; the decoder mirrors it.
        upsampling: transposed (learned) or bilinear.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        depth: int,
        width: int,
        norm: str,
        activation: str,
        dropout: float | Sequence[float],
        upsampling: str,
    ) -> None:
        super().__init__()
        if not 2 <= depth <= 7:
            raise ValueError(f"depth={depth} is outside 2 to 7")
        if width < 1:
            raise ValueError(f"width={width} must be 1 or more")
        rates = [float(dropout)] * depth if isinstance(dropout, int | float) else list(dropout)
        if len(rates) != depth:
            raise ValueError(f"dropout has {len(rates)} values, but depth={depth} levels need one each")
        self.multiple = 2 ** (depth - 1)
        widths = [width * 2**level for level in range(depth)]

        def block(channels: int, level: int) -> ConvBlock:
            return ConvBlock(channels, widths[level], norm=norm, activation=activation, dropout=rates[level])

        up = choose(upsampling, UPSAMPLINGS, "upsampling")
        self.encoder = nn.ModuleList(
            block(in_channels if level == 0 else widths[level - 1], level) for level in range(depth)
        )
        self.shrink = nn.MaxPool2d(2)
        rising = range(depth - 2, -1, -1)
        self.ups = nn.ModuleList(up(widths[level + 1], widths[level]) for level in rising)
        self.decoder = nn.ModuleList(block(2 * widths[level], level) for level in rising)
        self.head = nn.Conv2d(width, classes, 1)
        he_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image float (B, C, H, W) of any size -> logits (B, K, H, W)."""
        height, width = image.shape[-2:]
        x = fill_to_multiple(image, self.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.shrink(x))  # (B, width * 2^level, H' / 2^level, W' / 2^level)
            skips.append(x)
        skips.pop()  # x
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = torch.cat([skips.pop(), up(x)], dim=1)  # no name keeps the parts: less memory at the top
            x = block(x)
        return self.head(x)[..., :height, :width]  # type: ignore[no-any-return]
