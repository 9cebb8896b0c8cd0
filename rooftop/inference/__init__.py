"""Prediction from a run folder.

The road of a prediction: `sources` -> `predict` -> `scenes` (open, `scene_plan`, canvas of `unfinished`, fill by
`sliding_window` and `views`, write by `outputs`) or `pictures`.
"""

from rooftop.inference.area import Area
from rooftop.inference.distributed import Machines, Processes, launch
from rooftop.inference.engines import open_predictor
from rooftop.inference.job import Job
from rooftop.inference.predict import predict
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Tiling
from rooftop.inference.sources import find_sources

__all__ = [
    "Area",
    "Job",
    "Machines",
    "Predictor",
    "Processes",
    "Tiling",
    "find_sources",
    "launch",
    "open_predictor",
    "predict",
]
