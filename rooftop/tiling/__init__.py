"""Orthophotos and footprints cut into tiles to train on."""

from rooftop.tiling.tiles import CATEGORY, Tiles, Tiling, find_rasters
from rooftop.vector.layers import open_layer

__all__ = ["CATEGORY", "Tiles", "Tiling", "find_rasters", "open_layer"]
