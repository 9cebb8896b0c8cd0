"""Evaluation of a split: truth and prediction laid over each other, counted, scored, written down, looked at.

subjects     what is to be scored: runs, or results files
cases        the pictures with truth and prediction: of a run, or of two COCO files
roofs        their objects and polygons
measure      all counts of one picture
tally        the counts of all pictures
score        scores, of the split and of bootstrap draws
split        all of this in one go
record       scores.json and per_image.csv
report       report.html, made of words, page and examples
comparison   several systems on the same pictures
"""

from rooftop.evaluation.cases import Case, Cases, Cut, FileCases, RunCases
from rooftop.evaluation.comparison import write_comparison
from rooftop.evaluation.record import print_scores, write_per_image, write_scores
from rooftop.evaluation.report import write_report
from rooftop.evaluation.split import Evaluated, Settings, evaluate_split
from rooftop.evaluation.subjects import Choice, Subject, of_files, of_runs

__all__ = [
    "Case",
    "Cases",
    "Choice",
    "Cut",
    "Evaluated",
    "FileCases",
    "RunCases",
    "Settings",
    "Subject",
    "evaluate_split",
    "of_files",
    "of_runs",
    "print_scores",
    "write_comparison",
    "write_per_image",
    "write_report",
    "write_scores",
]
