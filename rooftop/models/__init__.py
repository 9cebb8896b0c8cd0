"""Networks: normalised image (B, C, H, W) in, logits (B, K, H, W) out, any size."""

from rooftop.models.encoder_unet import EncoderDecoder, EncoderUNet
from rooftop.models.libraries import SMP, TimmEncoder
from rooftop.models.unet import UNet

__all__ = ["SMP", "EncoderDecoder", "EncoderUNet", "TimmEncoder", "UNet"]
