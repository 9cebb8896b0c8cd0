"""Prediction from a run folder."""

from rooftop.inference.distributed import Machines, launch
from rooftop.inference.job import Job
from rooftop.inference.predict import predict
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Tiling
from rooftop.inference.sources import find_sources

__all__ = ["Job", "Machines", "Predictor", "Tiling", "find_sources", "launch", "predict"]
