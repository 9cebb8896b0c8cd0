"""One example of each part that can be one's own; conf/experiment/own_parts.yaml names them all."""

from own_parts.augmentation import Haze
from own_parts.callback import GradientNorm
from own_parts.data import Boxes
from own_parts.logger import Lines
from own_parts.loss import HardestPixels
from own_parts.metric import RoofShare
from own_parts.network import Patches

__all__ = ["Boxes", "GradientNorm", "HardestPixels", "Haze", "Lines", "Patches", "RoofShare"]
