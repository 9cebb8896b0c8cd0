"""Evaluation of a split: compare prediction and truth, count, score, report.

cases        pictures with truth and prediction: of a run, or of two COCO files
instances    their objects and polygons
counts       all counts of a picture, and of the split
score        scores of the split and of bootstrap draws; their names
evaluate     all of this in one call; scores.json and per_image.csv
report       report.html
examples     the pictures in it
comparison   several systems on the same pictures
runs         run folders of a sweep or glob; groups that differ only by their seed
"""

from rooftop.evaluation.cases import Case, Cases, Choice, Decision, FileCases, RunCases, Subject, of_files, of_runs
from rooftop.evaluation.comparison import System, systems_of, write_comparison
from rooftop.evaluation.evaluate import (
    Evaluation,
    Settings,
    evaluate_split,
    print_scores,
    write_per_image,
    write_scores,
)
from rooftop.evaluation.report import write_report
from rooftop.evaluation.runs import find_runs

__all__ = [
    "Case",
    "Cases",
    "Choice",
    "Decision",
    "Evaluation",
    "FileCases",
    "RunCases",
    "Settings",
    "Subject",
    "System",
    "evaluate_split",
    "find_runs",
    "of_files",
    "of_runs",
    "print_scores",
    "systems_of",
    "write_comparison",
    "write_per_image",
    "write_report",
    "write_scores",
]
