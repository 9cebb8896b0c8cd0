"""Orthophotos and footprints cut into tiles to train on."""

from rooftop.tiling.objects import CATEGORY
from rooftop.tiling.sources import find_rasters
from rooftop.tiling.tiles import Tiles, Tiling

__all__ = ["CATEGORY", "Tiles", "Tiling", "find_rasters"]
