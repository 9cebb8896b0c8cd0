"""From a raw picture to the network's input: resize, scale to [0, 1], normalise. One definition for all scripts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rooftop.raster.picture import resize
from rooftop.raster.reading import Reading, reading_of

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Preparation:
    """Settings for the network's input, stored in the run's card.

    Attributes:
        mean: per channel, of pictures scaled to [0, 1].
        std: per channel, likewise.
        size: (height, width) in pixels of every picture after resizing, or None: pictures keep their size.
        bands: 1-based band numbers to read, or None: red, green and blue of 8-bit pictures.
        scale: for each band the values (low, high) mapped to 0 and 255.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None = None
    bands: tuple[int, ...] | None = None
    scale: tuple[tuple[float, float], ...] | None = None

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Preparation":
        """Make it from the plain lists of a configuration or a card."""
        size, bands, scale = (content.get(key) for key in ("size", "bands", "scale"))
        return cls(
            tuple(content["mean"]),
            tuple(content["std"]),
            (size[0], size[1]) if size else None,
            tuple(bands) if bands else None,
            tuple((low, high) for low, high in scale) if bands and scale else None,
        )

    def plain(self) -> dict[str, Any]:
        """Return plain lists, for a card: `of(plain()) == self`; bands and scale only if set."""
        content: dict[str, Any] = {"mean": list(self.mean), "std": list(self.std)}
        content["size"] = list(self.size) if self.size else None
        if self.bands and self.scale:
            content |= {"bands": list(self.bands), "scale": [list(pair) for pair in self.scale]}
        return content

    @property
    def reading(self) -> Reading:
        """The reading of picture files."""
        return reading_of(self.bands, self.scale)

    def resize(self, pixels: Array, *, nearest: bool = False) -> Array:
        """Resize uint8 (H, W) or (H, W, C) to `size`; pictures by an antialiased bilinear filter, masks by nearest."""
        if self.size is None or pixels.shape[:2] == self.size:
            return pixels
        method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        return resize(pixels, self.size, method)

    @property
    def middle(self) -> Array:
        """The picture value uint8 (C,) nearest to 0 after normalisation; used as padding."""
        middle: Array = np.clip(np.round(np.multiply(self.mean, 255)), 0, 255).astype(np.uint8)
        return middle

    def normalise_batch(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, C) on any device -> float32 (B, C, H, W) there, channels last."""
        image = pixels.permute(0, 3, 1, 2).float()
        mean = torch.tensor(self.mean, device=image.device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=image.device).view(-1, 1, 1) * 255
        return image.sub_(mean).div_(std)

    def restore(self, image: Tensor) -> Array:
        """float32 (C, H, W) -> uint8 (H, W, C): the inverse of `normalise_batch`, for pictures of batches."""
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        pixels = (image.float().cpu() * std + mean).clamp(0, 1).mul(255).round().byte()
        restored: Array = np.moveaxis(pixels.numpy(), 0, -1).copy()
        return restored
