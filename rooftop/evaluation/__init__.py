"""Evaluation of a split: compare prediction and truth, count, score, report.

cases        pictures with truth and prediction: of a run, or of two COCO files
instances    their objects and polygons
counts       all counts of a picture, and of the split
score        scores of the split and of bootstrap draws; their names
evaluate     all of this in one call; scores.json and per_image.csv
report       report.html
examples     the pictures in it
comparison   several systems on the same pictures
"""

from rooftop.evaluation.cases import Case, Cases, Choice, Decision, FileCases, RunCases, Subject, of_files, of_runs
from rooftop.evaluation.comparison import write_comparison
from rooftop.evaluation.evaluate import (
    Evaluation,
    Settings,
    evaluate_split,
    print_scores,
    write_per_image,
    write_scores,
)
from rooftop.evaluation.report import write_report

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
    "evaluate_split",
    "of_files",
    "of_runs",
    "print_scores",
    "write_comparison",
    "write_per_image",
    "write_report",
    "write_scores",
]
