"""Data sets: pictures paired with truth, split by place, augmented, normalised, batched."""

from rooftop.data.datamodule import RoofDataModule
from rooftop.data.prepare import Preparation

__all__ = ["Preparation", "RoofDataModule"]
