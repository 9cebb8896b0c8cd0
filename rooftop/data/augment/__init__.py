"""Augmentation of picture and truth together; the only door to albumentations.

albumentations 2.0.8 is the last MIT release. On import it looks for updates online; the variable below, set before the
import, turns that off. Its operations and their settings are the vocabulary of conf/augmentation. They draw their
parameters and work as they are, except where a faster way leads to the same pixels: flips and quarter turns (`turns`),
runs of colour operations (`colours`), and the operations of `fast`.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from rooftop.data.augment.chain import Augment, check_operations, one_thread
from rooftop.data.augment.gable import GableShade, sides_of_ridges
from rooftop.data.augment.turns import in_rows

__all__ = ["Augment", "GableShade", "check_operations", "in_rows", "one_thread", "sides_of_ridges"]
