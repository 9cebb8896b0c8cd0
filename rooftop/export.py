"""ONNX export of a run folder: one file for programs without torch; or in memory, as an engine for prediction.

The file takes raw pictures, uint8 (B, H, W, C), and returns probabilities. Normalisation and sigmoid are inside:
outside they are easily forgotten. Batch, height and width are free; padding to the network's multiple is part of the
graph. A second form is read by Deepness, a plugin of QGIS.

The packages onnx and onnxruntime are optional and imported late. torch's older exporter needs no third package, and
keeps sizes free in networks with size-dependent padding.
"""

import copy
import dataclasses
import io
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rooftop.data.prepare import Preparation
from rooftop.errors import ConfigError, RunError
from rooftop.files import atomic_write
from rooftop.run import Card, Run

OPSET = 17  # readers from 2022 on know it
TOLERANCE = 1e-4  # of probabilities, ONNX Runtime against torch
SIZES = (1, 65, 97), (2, 131, 75)  # batch, height, width: odd ones, which have to be filled up at every depth
OVERLAP = 20  # percent of a tile of Deepness; half of it lies around the part that the plugin keeps
INPUT, OUTPUT = "picture", "probability"
Session = Callable[[NDArray[Any]], NDArray[np.float32]]
"""uint8 (B, H, W, C) -> float32 (B, K, H, W); for Deepness float32 (1, C, T, T) -> float32 (1, K, T, T)."""


class Raw(nn.Module):
    """The network of a run behind its normalisation: uint8 (B, H, W, C) -> logits (B, K, H, W)."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.network = run.network
        self.preparation = Preparation.of(run.card.preparation)

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> logits (B, K, H, W)."""
        return self.network(self.preparation.normalise_batch(pictures))  # type: ignore[no-any-return]


class Deepness(nn.Module):
    """The network of a run as the QGIS plugin Deepness calls it: file values / 255, float32 (1, C, T, T), to roofs.

    Bands are scaled and normalised inside: versions of the plugin before 0.6 do not know its standardisation. Of the
    targets, only roofs come out: float32 (1, 1, T, T) for one category. For K categories (1, 1 + K, T, T), where
    channel 0 is 0: the plugin takes the largest of all channels at or above its threshold, else the first.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.network, self.categories = run.network, len(run.card.categories)
        preparation = Preparation.of(run.card.preparation)
        low, high = zip(*(preparation.scale or [(0, 255)] * len(preparation.mean)), strict=True)
        values = {"low": low, "high": high, "mean": preparation.mean, "std": preparation.std}
        for name, numbers in values.items():
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float64).view(-1, 1, 1).float())

    def forward(self, tile: Tensor) -> Tensor:
        """float32 (1, C, T, T), file values / 255 -> float32 (1, 1 or 1 + K, T, T) in [0, 1]."""
        picture = ((tile * 255 - self.low) / (self.high - self.low)).clamp(0, 1)
        roofs: Tensor = self.network((picture - self.mean) / self.std)[:, : self.categories].sigmoid()
        return roofs if self.categories == 1 else torch.cat([roofs[:, :1] * 0, roofs], 1)


def write_onnx(run: Run, path: Path) -> float:
    """Write a run as an ONNX file; its metadata contain the card, but for the network.

    Args:
        run: a loaded run folder.
        path: of the file; written atomically, and only if ONNX Runtime agrees with torch.

    Returns:
        Largest difference in probability between ONNX Runtime and torch.

    Raises:
        ConfigError: the packages are not installed.
        RunError: the network cannot be written as ONNX, has other output channels than the card names, or ONNX
            Runtime disagrees with torch.
    """
    run.require_outputs()
    content = with_metadata(onnx_of(run, nn.Sequential(Raw(run), nn.Sigmoid())), metadata(run.card))
    off = _difference(run, session(content))
    with atomic_write(path) as part:
        part.write_bytes(content)
    return off


def write_deepness(run: Run, path: Path, *, tile: int) -> float:
    """Write a run as an ONNX file for Deepness, a plugin of QGIS (Aszkowski et al., SoftwareX, 2023).

    Args:
        run: a loaded run folder.
        path: of the file; written atomically, and only if ONNX Runtime agrees with torch.
        tile: side of its input in pixels; the plugin cuts the raster into tiles of this size.

    Returns:
        Largest difference in probability between ONNX Runtime and torch.

    Raises:
        ConfigError, RunError: as `write_onnx`.
    """
    run.require_outputs()
    network = Deepness(run).eval()
    channels = len(network.mean)
    example = torch.rand(1, channels, tile, tile, generator=torch.Generator().manual_seed(0))
    content = with_metadata(_traced(run, network, example, {}), deepness_metadata(run.card, tile))
    exact = copy.deepcopy(network).double()
    with torch.inference_mode():
        off = _checked(run, session(content)(example.numpy()), exact(example.double()).numpy())
    with atomic_write(path) as part:
        part.write_bytes(content)
    return off


def onnx_logits(run: Run) -> Callable[[Tensor], Tensor]:
    """The network of a run under ONNX Runtime on the CPU, with as many threads as torch has.

    Returns:
        A function from pictures, uint8 (B, H, W, C), to logits, float32 (B, K, H, W).

    Raises:
        ConfigError: the packages are not installed.
        RunError: the network cannot be written as ONNX, or ONNX Runtime answers otherwise than torch.
    """
    answer = session(onnx_of(run, Raw(run)))

    def logits(pictures: Tensor) -> Tensor:
        return torch.from_numpy(answer(pictures.numpy()))

    _difference(run, lambda pictures: logits(torch.from_numpy(pictures)).sigmoid().numpy())
    return logits


def metadata(card: Card) -> dict[str, str]:
    """Return the metadata: the card, but for the network, with values as JSON; mean and std are applied inside."""
    plain = dataclasses.asdict(card)
    del plain["network"]
    return {name: json.dumps(value) for name, value in {**plain.pop("preparation"), **plain}.items()}


def deepness_metadata(card: Card, tile: int) -> dict[str, str]:
    """Return what Deepness reads (`ModelBase` of version 0.7), as JSON, and the card.

    `resolution` is in centimetres a pixel, and left out where the card has none; `tiles_overlap` in percent.
    Standardisation says "none", since it is inside. `seg_small_segment` 0: no median filter, the mask is the network's.
    """
    channels = len(card.preparation["mean"])
    told: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(["background", *card.categories])},
        "tile_size": tile,
        "tiles_overlap": OVERLAP,
        "seg_thresh": card.threshold,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * channels,
        "standardization_std": [1.0] * channels,
    }
    if card.gsd:
        told["resolution"] = round(card.gsd * 100, 4)
    return {**metadata(card), **{name: json.dumps(value) for name, value in told.items()}}


def packages() -> tuple[Any, Any]:
    """Import onnx and onnxruntime.

    Raises:
        ConfigError: one of them is not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs the package {error.name}, which is not installed; pip install -e '.[export]'."
        ) from error
    return onnx, onnxruntime


def onnx_of(run: Run, network: nn.Module) -> bytes:
    """Trace at a size with padding: the padding is then part of the graph, with width 0 for sizes without need."""
    axes = {INPUT: {0: "batch", 1: "height", 2: "width"}, OUTPUT: {0: "batch", 2: "height", 3: "width"}}
    return _traced(run, network, _pictures(run, SIZES[0]), axes)


def _traced(run: Run, network: nn.Module, example: Tensor, axes: dict[str, dict[int, str]]) -> bytes:
    """Trace a network of a run; `axes` names the dimensions of input and output that are free."""
    packages()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes were looked at, and that there is a newer exporter
        try:
            torch.onnx.export(
                network.eval(),
                (example,),
                file,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes=axes,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RunError(f"{run.folder}: its network cannot be written as ONNX ({said}).") from error
    return file.getvalue()


def with_metadata(content: bytes, told: dict[str, str]) -> bytes:
    """Add metadata to an ONNX file, and check the file."""
    onnx, _ = packages()
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, told)
    onnx.checker.check_model(model)
    told_of: bytes = model.SerializeToString()
    return told_of


def session(content: bytes) -> Session:
    """Open an ONNX file in ONNX Runtime on the CPU, with as many threads as torch has."""
    _, runtime = packages()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    options.enable_mem_pattern = False  # at the same speed a quarter less memory (benchmarks/results_predict.md)
    opened = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda pictures: opened.run(None, {INPUT: pictures})[0]


def _difference(run: Run, answer: Session) -> float:
    """Return the largest difference in probability between answer and network, on odd sizes.

    Raises an error above the tolerance. The network runs in double precision: with group norm and many levels,
    torch's rounding in single precision reaches 1e-3, ten times that of ONNX Runtime (measured with random
    weights).
    """
    off, network, preparation = 0.0, copy.deepcopy(run.network).double(), Preparation.of(run.card.preparation)
    for size in SIZES:
        pictures = _pictures(run, size)
        with torch.inference_mode():
            expected = network(preparation.normalise_batch(pictures).double()).sigmoid().numpy()
        off = max(off, _checked(run, answer(pictures.numpy()), expected))
    return off


def _checked(run: Run, found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference of two answers, or raise an error above the tolerance."""
    off = float(np.abs(found - expected).max()) if found.shape == expected.shape else math.inf
    if not off <= TOLERANCE:  # so that what is no number is refused too
        raise RunError(f"{run.folder}: as ONNX its network answers otherwise, by up to {off:.2g}; use it with torch.")
    return off


def _pictures(run: Run, size: tuple[int, int, int]) -> Tensor:
    """Noise, uint8 (B, H, W, C)."""
    channels = len(run.card.preparation["mean"])
    return torch.randint(0, 256, (*size, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
