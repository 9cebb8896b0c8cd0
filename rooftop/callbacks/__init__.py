"""What happens beside training: history, TensorBoard, checkpoints, where it starts from, the run folder at the end."""

from rooftop.callbacks.average import Average
from rooftop.callbacks.board import Board
from rooftop.callbacks.checkpoint import WholeCheckpoints
from rooftop.callbacks.history import History
from rooftop.callbacks.start import Freeze, ImageNetStart, RunStart
from rooftop.callbacks.threshold import ChooseThreshold
from rooftop.callbacks.write_run import WriteRun

__all__ = [
    "Average",
    "Board",
    "ChooseThreshold",
    "Freeze",
    "History",
    "ImageNetStart",
    "RunStart",
    "WholeCheckpoints",
    "WriteRun",
]
