"""An encoder for `rooftop.models.EncoderDecoder`."""

from torch import Tensor, nn


class Patches(nn.Module):
    """Two feature maps, at a half and a quarter of the size.

    Args:
        in_channels: bands of the picture; given by the network.
        width: channels of the first feature map.
    """

    def __init__(self, *, in_channels: int, width: int) -> None:
        super().__init__()
        self.channels, self.strides = [width, 2 * width], [2, 4]
        self.first = nn.Sequential(nn.Conv2d(in_channels, width, 4, 2, padding=1), nn.GELU())
        self.second = nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, padding=1), nn.GELU())

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, C, H, W) -> feature maps (B, width, H / 2, W / 2) and (B, 2 width, H / 4, W / 4)."""
        half = self.first(image)
        return [half, self.second(half)]

    def upper(self, levels: int) -> list[nn.Module]:
        """Return the modules of the first feature maps: optional, for `rooftop.callbacks.Freeze`."""
        return [self.first, self.second][:levels]
