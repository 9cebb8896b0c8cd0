"""U-Net decoder on an encoder pretrained on ImageNet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rooftop.models.blocks import ConvBlock, enlarge, fill_to_multiple, he_normal
from rooftop.models.efficientnet import EfficientNetLite


class EncoderUNet(nn.Module):
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
        super().__init__()
        encoder = EfficientNetLite(in_channels=in_channels, variant=variant, stem_stride=stem_stride)
        *skips, bottom = encoder.channels
        joined = [*skips[::-1], *([0] if stem_stride == 2 else [])]
        if len(decoder) != len(joined):
            raise ValueError(f"decoder has {len(decoder)} values, but stem_stride={stem_stride} needs {len(joined)}")
        self.multiple = 16 * stem_stride
        inputs = [bottom, *decoder[:-1]]
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = nn.ModuleList(
            ConvBlock(below + skip, out, norm=norm, activation=activation, dropout=0.0)
            for below, skip, out in zip(inputs, joined, decoder, strict=True)
        )
        self.head = nn.Conv2d(decoder[-1], classes, 1)
        he_normal(self)
        self.encoder = encoder  # after he_normal, which would give filters of one channel too large a spread

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image float (B, C, H, W) of any size -> logits (B, K, H, W)."""
        height, width = image.shape[-2:]
        *skips, x = self.encoder(fill_to_multiple(image, self.multiple))
        x = self.dropout(x)
        for block in self.decoder:
            x = enlarge(x, training=self.training)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)  # no name keeps the parts: a third of the memory at the top
            x = block(x)
        return self.head(x)[..., :height, :width]  # type: ignore[no-any-return]
