"""Evaluate a split: lay prediction over truth picture by picture, count, score, and write everything down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from rooftop.coco import Result, write_results
from rooftop.errors import ConfigError
from rooftop.evaluation.cases import Case, Cases
from rooftop.evaluation.measure import PUBLISHED, Measured, measure
from rooftop.evaluation.score import Draws, Sections, score, score_draws
from rooftop.evaluation.tally import Tally
from rooftop.raster.rasterise import rings

PREDICTIONS = "predictions.coco.json"


@dataclass(frozen=True)
class Settings:
    """How to score.

    max_dets: predictions of a picture that the object scores look at. rounds, seed: of the bootstrap. as_published:
    hisup, ffl or None. examples: pictures of each kind (best, median, worst) in the report.
    """

    max_dets: int
    rounds: int
    seed: int
    as_published: str | None
    examples: int


@dataclass(frozen=True)
class Evaluated:
    """A scored split. subject: what was scored on what, plain values for the record."""

    subject: dict[str, Any]
    settings: Settings
    tally: Tally
    scores: Sections
    draws: Draws


def evaluate_split(cases: Cases, folder: Path, settings: Settings, subject: dict[str, Any]) -> Evaluated:
    """Score all pictures and write `predictions.coco.json` on the way.

    Raises:
        ConfigError: a setting that cannot be, or no picture.
    """
    _check(settings)
    if not len(cases):
        raise ConfigError("there is no picture to score; choose another split.")
    measured: list[Measured] = []
    write_results(folder / PREDICTIONS, _results(cases, settings, measured))
    tally = Tally(measured, [name for _, name in cases.categories])
    return Evaluated(
        subject,
        settings,
        tally,
        score(tally, max_dets=settings.max_dets),
        score_draws(tally, max_dets=settings.max_dets, rounds=settings.rounds, seed=settings.seed),
    )


def _check(settings: Settings) -> None:
    if settings.as_published not in (None, *PUBLISHED):
        raise ConfigError(f"as_published={settings.as_published}: choose one of {', '.join(PUBLISHED)}.")
    for name, value in (("bootstrap.rounds", settings.rounds), ("max_dets", settings.max_dets)):
        if value < 1:
            raise ConfigError(f"{name}={value}: must be at least 1.")


def _results(cases: Cases, settings: Settings, measured: list[Measured]) -> Iterator[Result]:
    """Give what was found, picture by picture, so that it is written while the pictures are measured."""
    categories = [number for number, _ in cases.categories]
    for i in track(range(len(cases)), description="evaluate"):
        case = cases[i]
        measured.append(measure(case, max_dets=settings.max_dets, as_published=settings.as_published))
        yield from _found(case, categories)


def _found(case: Case, categories: list[int]) -> Iterator[Result]:
    for category, roofs in zip(categories, case.found, strict=True):
        for rle, sure, outline in zip(roofs.rles, roofs.scores.tolist(), roofs.outlines, strict=True):
            yield Result(case.picture_id, category, sure, rle, outline and rings(outline))
