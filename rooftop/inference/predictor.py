"""A run folder as a function from pictures to probabilities."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from rooftop.data.prepare import Preparation
from rooftop.errors import ConfigError
from rooftop.memory import keep_freed_memory
from rooftop.models.fold import fold_batch_norm
from rooftop.run import Run

Array = NDArray[np.uint8]
Probability = NDArray[np.float32]


class Predictor:
    """Predict batches of pictures of one size: float32 on a CPU, bfloat16 convolutions on a GPU.

    Args:
        run: a loaded run folder.
        device: auto, cpu, cuda, cuda:1, mps ...
        logits: the run's network in another engine, on the CPU: uint8 (B, H, W, C) to float32 (B, K, H, W);
            None: torch.
        engine: name of that engine.

    Attributes:
        run: as given.
        preparation: from raw pictures to the network's input.
        own: torch is the engine.
        engine: its name.
        device: of the network.

    Raises:
        RunError: the network has other output channels than the card names.
        ConfigError: there is no such device, or the engine cannot use it.
    """

    def __init__(
        self,
        run: Run,
        *,
        device: str = "auto",
        logits: Callable[[Tensor], Tensor] | None = None,
        engine: str = "torch",
    ) -> None:
        run.require_outputs()
        self.run = run
        self.preparation = Preparation.of(run.card.preparation)
        self.own, self.logits, self.engine = logits is None, logits or self._logits, engine
        if not self.own:
            self.check_device(device, engine)
        name = ("cuda" if self.own and torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            self.device = torch.device(name)
            folded = fold_batch_norm(run.network).to(self.device)
            self.network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device={device}: {str(error).splitlines()[0]}; choose cpu or auto.") from error
        self._warm = False

    @staticmethod
    def check_device(device: str, engine: str) -> None:
        """Check that a device is one for the engines other than torch.

        Raises:
            ConfigError: it is no CPU.
        """
        if device not in ("auto", "cpu"):
            raise ConfigError(
                f"device={device}: engine={engine} works on the CPU only; choose the CPU (trainer.accelerator=cpu of "
                "predict.py) or engine=torch."
            )

    @property
    def out_channels(self) -> int:
        """Number of output channels: targets times categories."""
        return len(self.run.card.targets) * len(self.run.card.categories)

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the run's weights file, for cache keys."""
        return hashlib.sha256((self.run.folder / "model.safetensors").read_bytes()).hexdigest()

    def preparation_of(self, bands: Sequence[int] | None) -> Preparation:
        """Preparation of the run, reading `bands` of a file if given.

        Raises:
            ConfigError: the number of bands differs from that of the run.
        """
        known = self.preparation.bands
        if bands is None or known is None:
            return self.preparation
        if len(bands) != len(known):
            raise ConfigError(
                f"bands={list(bands)} names {len(bands)} bands, but the run needs {len(known)} "
                f"({', '.join(map(str, known))} of its training pictures); name {len(known)}."
            )
        return replace(self.preparation, bands=tuple(bands))

    @torch.inference_mode()
    def forward(self, pictures: Array) -> Probability:
        """Predict a batch of pictures of one size.

        Args:
            pictures: uint8 (B, H, W, C).

        Returns:
            float32 (B, K, H, W) in [0, 1].
        """
        size = pictures.shape[1:3]
        if self.preparation.size in (None, size):
            pixels = np.require(pictures, requirements=["C", "W"])  # copies only what torch cannot take as it is
        else:
            pixels = np.stack([self.preparation.resize(picture) for picture in pictures])
        logits = self.logits(torch.from_numpy(pixels))
        if self.own and not self._warm:  # what the first pass leaves behind would split the kept blocks: 300 MB
            keep_freed_memory()
            self._warm = True
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        probability: Probability = self._on_cpu(logits.sigmoid()).numpy()
        return probability

    def _logits(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, C) on the CPU -> logits float32 (B, K, H, W) on the device."""
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        batch = self.preparation.normalise_batch(pixels.to(self.device, non_blocking=True))
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            logits: Tensor = self.network(batch)
        return logits.float()

    def _on_cpu(self, probability: Tensor) -> Tensor:
        """Copy to the CPU; pinned memory cuts the time of a copy from a GPU to a quarter or less."""
        if self.device.type != "cuda":
            return probability.cpu()
        return torch.empty(probability.shape, dtype=probability.dtype, pin_memory=True).copy_(probability)

    def probability(self, picture: Array) -> Probability:
        """Predict one picture in one pass: uint8 (H, W, C) -> float32 (K, H, W) in [0, 1]."""
        whole: Probability = self.forward(picture[None])[0]
        return whole
