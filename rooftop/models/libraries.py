"""Encoders of timm, and whole networks of segmentation_models_pytorch: hundreds of each, by name.

Both are optional (extras `timm` and `smp`) and imported late. A network is built with random weights, since a run
folder contains its own; `load_published` puts published ones in at the start of a training. Nothing is downloaded,
unless HF_HUB_OFFLINE=0 in the environment allows it. Names are looked up in the lists of the libraries, so that the
card of a stranger cannot name an address.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from rooftop.errors import ConfigError
from rooftop.models.blocks import fill_to_multiple

OFFLINE = "HF_HUB_OFFLINE"  # of huggingface_hub, which looks at it when it is imported
STRIDE = 32  # of the deepest feature maps of segmentation_models_pytorch
TIMM = "tu-"  # with it segmentation_models_pytorch finds the encoders of timm


class TimmEncoder(nn.Module):
    """An encoder of timm, for `EncoderDecoder`.

    Args:
        in_channels: bands of the picture.
        name: of the model, such as resnet34 or resnet34.a1_in1k; those with feature maps of halving sizes fit.
        pretrained: for `load_published`: null: random weights; true: those that timm has stored on this machine; or
            a file with them.

    Attributes:
        channels: of the feature maps, from the top.
        strides: of the feature maps, from the top.

    Raises:
        ConfigError: timm is not installed, or has no such model.
        RuntimeError: a model without feature maps; the message of timm.
    """

    def __init__(self, *, in_channels: int, name: str, pretrained: bool | str | None = None) -> None:
        super().__init__()
        timm = _library("timm")
        _require_known(name, timm.list_models(), "model.encoder.name")
        self._name, self._bands, self._pretrained = name, in_channels, pretrained
        self.body = timm.create_model(name, **self._settings())
        self._infos: list[dict[str, Any]] = self.body.feature_info.get_dicts()
        self.channels = [info["num_chs"] for info in self._infos]
        self.strides = [info["reduction"] for info in self._infos]
        self._last = getattr(self.body, "output_fmt", None) == "NHWC"

    def _settings(self) -> dict[str, Any]:
        return {"features_only": True, "pretrained": False, "in_chans": self._bands}

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, C, H, W) -> feature maps, from the top; each (B, channels, H / stride, W / stride)."""
        maps = self.body(image)
        return [each.permute(0, 3, 1, 2) for each in maps] if self._last else list(maps)

    def upper(self, levels: int) -> list[nn.Module]:
        """Return the modules up to the one that makes the last of so many feature maps, in the order of timm."""
        if levels == 0:
            return []
        named = dict(self.body.named_modules())
        last = self._infos[levels - 1]["module"]
        flat = last.replace(".", "_")  # timm names a level of several parts stages_0 instead of stages.0
        ends = [i for i, name in enumerate(named) if f"{name}.".startswith((f"{last}.", f"{flat}."))]
        if not ends:
            raise ConfigError(
                f"callbacks.freeze: timm names no part of {self._name} for level {levels}; set it to null."
            )
        later = list(named)[ends[-1] + 1 :]
        return [
            module
            for name, module in list(named.items())[1 : ends[-1] + 1]
            if not any(other.startswith(f"{name}.") for other in later)
        ]

    def load_published(self) -> None:
        """Put the weights of `pretrained` in; filters of the first layer are adapted to the number of bands.

        Raises:
            ConfigError: they are not on this machine, or do not fit.
        """
        if not self._pretrained:
            return
        timm = _library("timm")
        file = {} if self._pretrained is True else {"pretrained_cfg_overlay": {"file": str(self._pretrained)}}
        try:
            there = timm.create_model(self._name, **{**self._settings(), "pretrained": True, **file})
        except Exception as error:  # of the hub, of a damaged file, of weights for another model
            raise ConfigError(_not_here("model.encoder.pretrained", self._pretrained, self._name, error)) from error
        self.body.load_state_dict(there.state_dict())


class SMP(nn.Module):
    """A whole network of segmentation_models_pytorch, for pictures of any size.

    Args:
        in_channels: bands of the picture.
        classes: K, channels of the logits.
        arch: class of the network: Unet, UnetPlusPlus, FPN, DeepLabV3Plus, Segformer, ...
        encoder_name: such as resnet34, mit_b0, or tu- and a name of timm.
        pretrained: for `load_published`: null: random weights; or the name of weights of the encoder that are stored on
            this machine, such as imagenet.
        options: further arguments of the class, such as decoder_channels.

    Raises:
        ConfigError: segmentation_models_pytorch is not installed, or has no such network or encoder.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        arch: str,
        encoder_name: str,
        pretrained: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        smp = _library("smp")
        classes_by_name = {each.__name__: each for each in smp.MODEL_ARCHITECTURES_MAPPING.values()}
        _require_known(arch, list(classes_by_name), "model.arch")
        timms = [TIMM + name for name in _library("timm").list_models()]
        _require_known(encoder_name, [*smp.encoders.get_encoder_names(), *timms], "model.encoder_name")
        self._encoder, self._bands, self._pretrained = encoder_name, in_channels, pretrained
        self.network: Any = classes_by_name[arch](
            encoder_name=encoder_name,
            encoder_weights=None,
            in_channels=in_channels,
            classes=classes,
            **(options or {}),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image float (B, C, H, W) of any size -> logits (B, K, H, W)."""
        height, width = image.shape[-2:]
        logits: Tensor = self.network(fill_to_multiple(image, STRIDE))
        return logits[..., :height, :width]

    def load_published(self) -> None:
        """Put the encoder's weights of `pretrained` in; filters of the first layer are adapted to the number of bands.

        Raises:
            ConfigError: there are no such weights, or they are not on this machine.
        """
        if not self._pretrained:
            return
        smp = _library("smp")
        name, mine = self._encoder, self.network.encoder
        try:
            there = smp.encoders.get_encoder(
                name,
                in_channels=self._bands,
                depth=mine._depth,
                weights=True if name.startswith(TIMM) else self._pretrained,
            )
            mine.load_state_dict(there.state_dict())
        except Exception as error:  # of the hub, and of weights that do not exist
            raise ConfigError(_not_here("model.pretrained", self._pretrained, name, error)) from error


def _library(extra: str) -> Any:
    """Import the library of an extra, timm or smp; its hub stays offline unless the environment says otherwise.

    Raises:
        ConfigError: it is not installed, or cannot be imported beside the installed torch.
    """
    os.environ.setdefault(OFFLINE, "1")
    try:
        if extra == "timm":
            import timm

            return timm
        import segmentation_models_pytorch

        return segmentation_models_pytorch
    except Exception as error:  # torchvision of another build of torch raises RuntimeError
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ConfigError(
            f"the library of the extra {extra} cannot be imported ({reason}); pip install -e '.[{extra}]', with torch "
            "and torchvision of one build."
        ) from error


def _require_known(name: str, known: Sequence[str], key: str) -> None:
    """Look a name up, without the tag of its weights behind a dot.

    Raises:
        ConfigError: there is no such name; the message has the nearest ones.
    """
    if name.partition(".")[0] in known:
        return
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or sorted(known)[:5]
    raise ConfigError(f"{key}={name[:100]}: there is no such name; near it are {', '.join(near)}.")


def _not_here(key: str, wanted: object, name: str, error: Exception) -> str:
    """Say in one sentence why weights could not be loaded, and what to do."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    named = os.path.exists(str(wanted)) or os.sep in str(wanted)  # noqa: PTH110
    remedy = "name another file" if named else f"{OFFLINE}=0 before the command allows to download them once"
    return f"{key}={wanted}: the weights of {name} could not be loaded ({reason}); {remedy}, or start with {key}=null."
