"""Networks: normalised image (B, C, H, W) in, logits (B, K, H, W) out, any size."""

from rooftop.models.encoder_unet import EncoderUNet
from rooftop.models.unet import UNet

__all__ = ["EncoderUNet", "UNet"]
