"""What happens beside training: history, TensorBoard, checkpoints, the run folder at the end."""

from rooftop.callbacks.board import Board
from rooftop.callbacks.checkpoint import WholeCheckpoints
from rooftop.callbacks.finish import WriteRun
from rooftop.callbacks.history import History
from rooftop.callbacks.threshold import ChooseThreshold

__all__ = ["Board", "ChooseThreshold", "History", "WholeCheckpoints", "WriteRun"]
