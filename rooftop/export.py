"""ONNX export of a run folder: one file for programs without torch; or in memory, as an engine for prediction.

The file takes raw pictures, uint8 (B, H, W, C), and returns probabilities. Normalisation and sigmoid are inside:
outside they are easily forgotten. Batch, height and width are free; padding to the network's multiple is part of the
graph.

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
INPUT, OUTPUT = "picture", "probability"
Session = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (B, H, W, C) -> float32 (B, K, H, W)."""


class Raw(nn.Module):
    """The network of a run behind its normalisation: uint8 (B, H, W, C) -> logits (B, K, H, W)."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.network = run.network
        self.preparation = Preparation.of(run.card.preparation)

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> logits (B, K, H, W)."""
        return self.network(self.preparation.normalise_batch(pictures))  # type: ignore[no-any-return]


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
    onnx, _ = _packages()
    model = onnx.load_from_string(_onnx(run, nn.Sequential(Raw(run), nn.Sigmoid())))
    onnx.helper.set_model_props(model, metadata(run.card))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    off = _difference(run, _session(content))
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
    _packages()
    session = _session(_onnx(run, Raw(run)))

    def logits(pictures: Tensor) -> Tensor:
        return torch.from_numpy(session(pictures.numpy()))

    _difference(run, lambda pictures: logits(torch.from_numpy(pictures)).sigmoid().numpy())
    return logits


def metadata(card: Card) -> dict[str, str]:
    """Return the metadata: the card, but for the network, with values as JSON; mean and std are applied inside."""
    plain = dataclasses.asdict(card)
    del plain["network"]
    return {name: json.dumps(value) for name, value in {**plain.pop("preparation"), **plain}.items()}


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs the package {error.name}, which is not installed; pip install -e '.[export]'."
        ) from error
    return onnx, onnxruntime


def _onnx(run: Run, network: nn.Module) -> bytes:
    """Trace at a size with padding: the padding is then part of the graph, with width 0 for sizes without need."""
    file, free = io.BytesIO(), {0: "batch", 2: "height", 3: "width"}
    axes = {INPUT: {0: "batch", 1: "height", 2: "width"}, OUTPUT: free}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes were looked at, and that there is a newer exporter
        try:
            torch.onnx.export(
                network.eval(),
                (_pictures(run, SIZES[0]),),
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


def _session(content: bytes) -> Session:
    _, runtime = _packages()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(None, {INPUT: pictures})[0]


def _difference(run: Run, session: Session) -> float:
    """Return the largest difference in probability between session and network, on odd sizes.

    Raises an error above the tolerance. The network runs in double precision: with group norm and many levels,
    torch's rounding in single precision reaches 1e-3, ten times that of ONNX Runtime (measured with random
    weights).
    """
    off, network, preparation = 0.0, copy.deepcopy(run.network).double(), Preparation.of(run.card.preparation)
    for size in SIZES:
        pictures = _pictures(run, size)
        with torch.inference_mode():
            expected = network(preparation.normalise_batch(pictures).double()).sigmoid().numpy()
        found = session(pictures.numpy())
        off = max(off, float(np.abs(found - expected).max()) if found.shape == expected.shape else math.inf)
    if not off <= TOLERANCE:  # so that what is no number is refused too
        raise RunError(f"{run.folder}: as ONNX its network answers otherwise, by up to {off:.2g}; use it with torch.")
    return off


def _pictures(run: Run, size: tuple[int, int, int]) -> Tensor:
    """Noise, uint8 (B, H, W, C)."""
    channels = len(run.card.preparation["mean"])
    return torch.randint(0, 256, (*size, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
