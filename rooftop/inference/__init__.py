"""Prediction from a run folder."""

from rooftop.inference.pictures import find_pictures, predict_pictures
from rooftop.inference.predictor import Predictor

__all__ = ["Predictor", "find_pictures", "predict_pictures"]
