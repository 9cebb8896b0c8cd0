"""All of a training, built out of the configuration of `train.py`."""

from rooftop.training.fit import fit_and_test, require_fresh
from rooftop.training.parts import begin, make_card, make_data, make_task, make_trainer

__all__ = ["begin", "fit_and_test", "make_card", "make_data", "make_task", "make_trainer", "require_fresh"]
