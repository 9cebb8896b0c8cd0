"""Make the eight-bit model of a run, store it beside the run, and use it."""

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rooftop.errors import RunError
from rooftop.export import INPUT, OUTPUT, Raw, Session, metadata, onnx_of, packages, session, with_metadata
from rooftop.files import atomic_write
from rooftop.int8.calibrate import Picture, calibration_pictures
from rooftop.int8.equalise import Ranges, equalise
from rooftop.logs import without_warnings
from rooftop.run import Run

log = logging.getLogger(__name__)

_RECIPE = 1  # counts up with each change that makes stored models differ
_KEY = "int8"  # of the metadata: what the model was made of
_ELSEWHERE = Path("outputs/.int8")  # for runs in folders that cannot be written to
# Numbers of convolutions at the beginning that may stay float32: rounding there is amplified by all that follows. The
# fewest are taken with which the masks agree with those of float32 almost as well as with any (IoU on the calibration
# pictures; benchmarks/results_predict.md).
_FLOATS = (0, 3, 6, 15)
_ALMOST, _LEAST = 0.01, 0.95
_LARGEST = 8.0  # logit: a probability of 0.9997; steps between -8 and 8 are a quarter as large as over the whole range


def write_int8(run: Run, path: Path, *, calibrate: Path | None) -> float:
    """Write a run as an eight-bit ONNX file, with input, output and metadata as `write_onnx`.

    Args:
        run: a loaded run folder.
        path: of the file; written atomically.
        calibrate: folder of pictures that show which values occur; None: the embedded training tiles.

    Returns:
        IoU of its masks with those of float32, on the calibration pictures.

    Raises:
        ConfigError: the packages are not installed, or there are no pictures for this run.
        DataError: an unreadable picture.
        RunError: the network cannot be written as ONNX, or loses too much in eight bits.
    """
    model, agreement = _make(run, calibration_pictures(run, calibrate))
    with atomic_write(path) as part:
        part.write_bytes(with_metadata(_with_sigmoid(model), metadata(run.card)))
    return agreement


def int8_logits(run: Run, *, calibrate: Path | None) -> Callable[[Tensor], Tensor]:
    """The network of a run in eight bits under ONNX Runtime; made on first use and stored in the run folder.

    Args:
        run: a loaded run folder.
        calibrate: as `write_int8`; a model stored before that was made of other pictures is made anew. None: any
            stored model of these weights will do.

    Returns:
        A function from pictures, uint8 (B, H, W, C), to logits, float32 (B, K, H, W).

    Raises:
        ConfigError, DataError, RunError: as `write_int8`.
    """
    packages()
    paths = run.folder / "int8.onnx", _ELSEWHERE / f"{_weights(run)[:16]}.onnx"
    model = next(filter(None, (_stored(path, run, calibrate) for path in paths)), None) or _make_stored(
        run, paths, calibrate
    )
    answer = session(model)
    return lambda pictures: torch.from_numpy(answer(pictures.numpy()))


def _make_stored(run: Run, paths: Sequence[Path], calibrate: Path | None) -> bytes:
    start = time.monotonic()
    log.info("int8: the run has no eight-bit model yet; making it takes a minute, once")
    made, agreement = _make(run, calibration_pictures(run, calibrate))
    model = with_metadata(made, {_KEY: json.dumps(_made_of(run, calibrate))})
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                part.write_bytes(model)
        except OSError:
            continue
        seconds = time.monotonic() - start
        log.info(
            "int8: written: %s (%.0f s; masks agree with those of float32 to %.1f%%)", path, seconds, 100 * agreement
        )
        break
    return model


def _weights(run: Run) -> str:
    return hashlib.sha256((run.folder / "model.safetensors").read_bytes()).hexdigest()


def _made_of(run: Run, calibrate: Path | None) -> dict[str, Any]:
    """What a stored model was made of."""
    return {"recipe": _RECIPE, "weights": _weights(run), "pictures": calibrate and str(calibrate.absolute())}


def _stored(path: Path, run: Run, calibrate: Path | None) -> bytes | None:
    """Read a stored model; None: there is none, it is damaged, or it was made of something else."""
    onnx, _ = packages()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # comes with onnx

    wanted = _made_of(run, calibrate)
    try:
        content = path.read_bytes()
        told = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
        made_of = json.loads(told[_KEY])
    except (OSError, KeyError, ValueError, DecodeError):
        return None
    if calibrate is None and isinstance(made_of, dict):
        wanted["pictures"] = made_of.get("pictures")
    return content if made_of == wanted else None


def _make(run: Run, pictures: Sequence[Picture]) -> tuple[bytes, float]:
    """Return the eight-bit model, with logits as output, and the agreement of its masks with those of float32."""
    onnx, _ = packages()
    run.require_outputs()
    content = onnx_of(run, Raw(run))
    model = onnx.load_from_string(content)
    ranges = equalise(model, _ranges(model, pictures))
    exact = _masks(run, session(content), pictures)
    models = [_quantised(model, count, ranges) for count in _FLOATS]
    agreements = [_agreement(exact, _masks(run, session(made), pictures)) for made in models]
    log.debug("int8: agreement with the first %s convolutions in float32: %s", _FLOATS, agreements)
    made, agreement = next(
        (made, agreement)
        for made, agreement in zip(models, agreements, strict=True)
        if agreement >= max(agreements) - _ALMOST
    )
    if agreement < _LEAST:
        raise RunError(
            f"{run.folder}: in eight bits its masks agree with those of float32 to {agreement:.1%} only; use "
            "engine=onnxruntime, or calibrate=FOLDER with pictures like those of its training."
        )
    return made, agreement


def _ranges(model: Any, pictures: Sequence[Picture]) -> Ranges:
    """Lowest and highest value of each channel of the tensors (B, C, H, W) between the layers."""
    onnx, runtime = packages()
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    names = [
        value.name
        for value in known
        if len(value.type.tensor_type.shape.dim) == 4 and value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    for name in [*names, OUTPUT]:
        for operation in ("ReduceMin", "ReduceMax"):
            end = f"{name}/{operation}"
            watched.graph.node.append(onnx.helper.make_node(operation, [name], [end], axes=[0, 2, 3], keepdims=0))
            watched.graph.output.append(onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, None))
    opened = runtime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = [opened.run(None, {INPUT: picture[None]}) for picture in pictures]
    ends = [list(column) for column in zip(*rows, strict=True)]
    lows, highs = ([combine(column, axis=0) for column in ends[i::2]] for i, combine in enumerate((np.min, np.max)))
    return dict(zip([*names, OUTPUT], zip(lows, highs, strict=True), strict=True))


def _quantised(model: Any, count: int, ranges: Ranges) -> bytes:
    """Quantise all but what comes before the convolution number `count`, by ONNX Runtime.

    Weights have seven bits: on processors without VNNI, sums of two products of eight bits overflow (documentation of
    ONNX Runtime, "When and why do I need to use U8U8?"). A single float32 layer between two quantised ones is avoided:
    ONNX Runtime would quantise it on loading, with one scale for all channels.
    """
    from onnxruntime import quantization

    nodes = list(model.graph.node)
    places = [place for place, node in enumerate(nodes) if node.op_type == "Conv"]
    first = places[min(count, len(places) - 1)]
    given = {name: (low.min(), high.max()) for name, (low, high) in ranges.items()}
    given |= dict.fromkeys(_last(nodes), (-_LARGEST, _LARGEST))
    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in given.items()}
    with tempfile.TemporaryDirectory() as folder, without_warnings():  # of ONNX Runtime: its advice on preparing models
        source, path = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model.SerializeToString())
        quantization.quantize_static(
            source,
            path,
            _reader(model.graph.input[0].type.tensor_type.shape.dim[3].dim_value),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            nodes_to_exclude=[node.name for node in nodes[:first]],
            extra_options={"TensorQuantOverrides": overrides},
        )
        return path.read_bytes()


def _last(nodes: Sequence[Any]) -> list[str]:
    """Names of the tensors from the last convolution to the output."""
    names = [OUTPUT]
    for node in reversed(nodes):
        if names[-1] in node.output and node.op_type != "Conv":
            names.append(node.input[0])
    return names


def _reader(channels: int) -> Any:
    """Feed ONNX Runtime one grey picture: it asks for some, though all ranges are given."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter([np.full((1, 64, 64, channels), 127, np.uint8)])

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            picture = next(self._rest, None)
            return None if picture is None else {INPUT: picture}

    return Reader()


def _masks(run: Run, answer: Session, pictures: Sequence[Picture]) -> list[NDArray[np.bool_]]:
    """Roofs of each category, bool (1, K, H, W), by a model of logits."""
    level = np.log(run.card.threshold / (1 - run.card.threshold))
    return [answer(picture[None])[:, : len(run.card.categories)] >= level for picture in pictures]


def _agreement(exact: Sequence[NDArray[np.bool_]], rounded: Sequence[NDArray[np.bool_]]) -> float:
    """IoU of all masks together; 1 if there is no roof in any."""
    pairs = list(zip(exact, rounded, strict=True))
    both, either = (sum(int(join(*pair).sum()) for pair in pairs) for join in (np.logical_and, np.logical_or))
    return both / either if either else 1.0


def _with_sigmoid(content: bytes) -> bytes:
    """Let a model of logits give probabilities."""
    onnx, _ = packages()
    model = onnx.load_from_string(content)
    for node in model.graph.node:
        node.output[:] = ["logits" if name == OUTPUT else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Sigmoid", ["logits"], [OUTPUT]))
    probabilities: bytes = model.SerializeToString()
    return probabilities
