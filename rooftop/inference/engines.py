"""The library that runs a network: torch, or ONNX Runtime in float32 or eight bits."""

from importlib.util import find_spec
from pathlib import Path

from rooftop.errors import ConfigError
from rooftop.inference.predictor import Predictor
from rooftop.run import Run


def open_predictor(
    run: Run, *, device: str = "auto", engine: str = "torch", calibrate: str | Path | None = None
) -> Predictor:
    """Put a run into an engine.

    Args:
        run: a loaded run folder.
        device: auto, cpu, cuda, cuda:1, mps ...; the engines of ONNX Runtime work on a CPU only.
        engine: torch, onnxruntime or int8. The eight-bit model is made on first use.
        calibrate: folder of pictures for the eight-bit model; None: see `rooftop.int8.int8_logits`.

    Raises:
        ConfigError: unknown or not installed engine, no such device, or one that the engine cannot use.
        RunError: the network does not work in the engine.
        DataError: an unreadable picture for the eight-bit model.
    """
    if calibrate and engine != "int8":
        raise ConfigError(f"calibrate={calibrate} is for engine=int8; leave it out with engine={engine}.")
    if engine == "torch":
        return Predictor(run, device=device)
    if engine not in ("onnxruntime", "int8"):
        raise ConfigError(f"engine={engine} is unknown; choose torch, onnxruntime or int8.")
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise ConfigError(
                f"engine={engine} needs the package {package}, which is not installed; pip install -e '.[export]', or "
                "use engine=torch."
            )
    Predictor.check_device(device, engine)
    if engine == "int8":
        from rooftop.int8 import int8_logits  # late: the packages are optional

        logits = int8_logits(run, calibrate=Path(calibrate) if calibrate else None)
    else:
        from rooftop.export import onnx_logits

        logits = onnx_logits(run)
    return Predictor(run, device=device, engine=engine, logits=logits)
