"""Weights for one town: read corrections, fine-tune on the checked squares, score on squares that were held out.

corrections       what a mapper corrected and checked
changes           corrected roofs against predicted ones
squares           checked squares as pictures and annotations
folds             which squares are held out together
fine_tune         one training, and the mean of several
scores            scores of squares; the choice of share and threshold
cross_validation  training, scores and the run folder in one call
report            report.html
"""

from rooftop.adaptation.corrections import read_corrections
from rooftop.adaptation.cross_validation import Adapted, adapt, open_start
from rooftop.adaptation.fine_tune import Recipe, require_recipe
from rooftop.adaptation.report import facts, score_table, verdict, write_report
from rooftop.adaptation.squares import with_earlier, write_squares

__all__ = [
    "Adapted",
    "Recipe",
    "adapt",
    "facts",
    "open_start",
    "read_corrections",
    "require_recipe",
    "score_table",
    "verdict",
    "with_earlier",
    "write_report",
    "write_squares",
]
