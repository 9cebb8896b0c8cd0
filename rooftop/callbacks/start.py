"""Where a training starts from, if not from random weights."""

from pytorch_lightning import Callback, LightningModule, Trainer

from rooftop.errors import ConfigError
from rooftop.models.encoder_unet import EncoderUNet
from rooftop.models.imagenet import load_imagenet


class ImageNetStart(Callback):
    """Puts ImageNet weights into the encoder before the first step; a run that goes on restores its own after that."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load them.

        Raises:
            ConfigError: the network has no such encoder, or the package with the weights is not installed.
        """
        if stage != "fit":
            return
        network = getattr(pl_module, "network", None)
        if not isinstance(network, EncoderUNet):
            raise ConfigError("callbacks.imagenet: the network has no encoder with ImageNet weights; set it to null.")
        load_imagenet(network.encoder)
