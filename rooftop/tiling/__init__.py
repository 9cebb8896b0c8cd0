"""Orthophotos and footprints cut into tiles to train on."""

from rooftop.tiling.tiles import CATEGORY, Tiles, Tiling, find_rasters

__all__ = ["CATEGORY", "Tiles", "Tiling", "find_rasters"]
