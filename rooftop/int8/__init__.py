"""Prediction with eight-bit integers on a CPU: a run folder becomes an ONNX model for ONNX Runtime.

Weights are int8 for each channel, activations uint8 for each tensor (Jacob et al. 2018, arXiv 1712.05877). Ranges come
from pictures; nothing is trained.
"""

from rooftop.int8.model import int8_logits, write_int8

__all__ = ["int8_logits", "write_int8"]
