"""Prediction from a run folder."""

from rooftop.inference.everything import predict
from rooftop.inference.job import Job
from rooftop.inference.machines import Machines, started
from rooftop.inference.predictor import Predictor
from rooftop.inference.scene import Tiling
from rooftop.inference.sources import find_sources

__all__ = ["Job", "Machines", "Predictor", "Tiling", "find_sources", "predict", "started"]
