"""Callbacks: history, loggers, progress, checkpoints, start weights, averaging, threshold, and the run folder."""

from rooftop.callbacks.average import Average
from rooftop.callbacks.best_weights import RequireValidation
from rooftop.callbacks.board import Board
from rooftop.callbacks.checkpoint import AtomicCheckpoints
from rooftop.callbacks.history import History
from rooftop.callbacks.progress import ProgressBar
from rooftop.callbacks.start import Freeze, ImageNetStart, RunStart
from rooftop.callbacks.threshold import ChooseThreshold
from rooftop.callbacks.write_run import WriteRun

__all__ = [
    "AtomicCheckpoints",
    "Average",
    "Board",
    "ChooseThreshold",
    "Freeze",
    "History",
    "ImageNetStart",
    "ProgressBar",
    "RequireValidation",
    "RunStart",
    "WriteRun",
]
