"""Synthetic towns: planned from a seed, rendered like an aerial picture, with exact outlines of their roofs."""

from rooftop.towns.folder import CATEGORY, Recipe, make_folder, make_scene, outlines
from rooftop.towns.look import Look, draw_look
from rooftop.towns.plan import plan
from rooftop.towns.render import render

__all__ = ["CATEGORY", "Look", "Recipe", "draw_look", "make_folder", "make_scene", "outlines", "plan", "render"]
