"""Find rooftops in satellite pictures: from COCO annotations to GIS-ready polygons.

import rooftop

model = rooftop.load()
roofs = model.predict("city.tif")
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rooftop.version import __version__

if TYPE_CHECKING:
    from rooftop.inference.model import Model

__all__ = ["__version__", "load"]


def load(run: str | Path | None = None, *, device: str = "auto", engine: str = "torch") -> "Model":
    """Load a trained network.

    Args:
        run: run folder of a training; None: the included weights.
        device: auto, cpu, cuda, cuda:1, mps ...
        engine: torch, or on a CPU onnxruntime or int8 (eight bits, half the time).

    Raises:
        rooftop.errors.RunError: no such run, or a damaged one.
        rooftop.errors.ConfigError: there is no such device, or the engine is unknown, not installed or not for it.
    """
    from rooftop.inference.model import Model  # late: torch takes seconds

    return Model(run, device=device, engine=engine)
