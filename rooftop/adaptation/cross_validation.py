"""From checked squares to a run for this town, with scores on ground that it did not train on.

The squares are divided into folds. For each fold the start is fine-tuned on the other folds, and scored on this one.
The weights of the result are the mean of these trainings: no square is wasted, and no further training is needed.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rooftop.adaptation.fine_tune import Recipe, State, blended, fine_tune
from rooftop.adaptation.folds import FEWEST, fold_of
from rooftop.adaptation.scores import JUDGED, Scored, SquareCases, choose_threshold, difference, is_better, scored
from rooftop.adaptation.squares import Tile
from rooftop.coco import open_index
from rooftop.config import data_of
from rooftop.config.paths import PROJECT, shipped
from rooftop.data.prepare import Preparation
from rooftop.data.sources import CocoSource
from rooftop.errors import ConfigError, RunError
from rooftop.files import write_json
from rooftop.inference import Predictor
from rooftop.inference.views import scale_factor, windowed, with_views
from rooftop.polygons.roofs import Shaping
from rooftop.raster.probability import stored
from rooftop.run import Run, git_hash, load, now, save, versions

NAME = "squares"  # of the data on the card
Progress = Callable[[str, int], Callable[[], None]]
"""Begins a task by name and number of steps; returns what is called after each step."""


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation.

    Attributes:
        squares: checked squares.
        before: cases of the start.
        after: cases of the fold's weights that did not see the square; None: too few squares to hold any out.
        scored_before: scores of the start.
        scored_after: scores of weights that did not see the square; None likewise.
        before_threshold: of the start.
        threshold: of the run that was written.
    """

    squares: list[Tile]
    before: SquareCases
    after: SquareCases | None
    scored_before: Scored
    scored_after: Scored | None
    before_threshold: float
    threshold: float

    @property
    def is_better(self) -> bool | None:
        """Whether the new weights are worth taking; None: nothing can be proven."""
        return None if self.scored_after is None else is_better(self.scored_before, self.scored_after)


def open_start(folder: Path) -> tuple[Run, Path | None]:
    """Load the weights to start from.

    A second round starts from where the first one did, and learns the squares of both: weights that have learned the
    first squares could not be scored on them.

    Args:
        folder: run folder, maybe of an earlier adaptation.

    Returns:
        The run to start from, and the folder of the squares of earlier rounds, if there are any.

    Raises:
        RunError: no run, or the start of the earlier round is gone.
        ConfigError: it cannot learn from squares.
    """
    run = load(folder)
    squares = None
    if run.card.data.get("name") == NAME:
        start = run.card.data.get("start")
        squares = folder / "squares"
        if not isinstance(start, str) or not squares.is_dir():
            raise RunError(f"{folder}: an adaptation without its start or squares; copy the whole run folder.")
        try:
            run = load(shipped(start))
        except RunError as error:
            raise RunError(f"{folder}: a second round begins where the first one did, but {error}") from error
    require_adaptable(run)
    return run, squares


def require_adaptable(start: Run) -> None:
    """Check that a run can be fine-tuned on squares.

    Raises:
        ConfigError: it has several categories, or resizes every picture to one size.
    """
    if len(start.card.categories) > 1:
        raise ConfigError(
            f"run={start.folder} finds {len(start.card.categories)} categories, but squares have one, roofs; "
            "train it with train.py."
        )
    if start.card.preparation["size"]:
        raise ConfigError(
            f"run={start.folder} resizes every picture to one size, so it cannot learn from windows; train it with "
            "train.py."
        )


def adapt(
    start: Run,
    folder: Path,
    squares: list[Tile],
    *,
    recipe: Recipe,
    folds: int,
    shaping: Shaping,
    device: str,
    progress: Progress,
) -> Adapted:
    """Fine-tune a run on squares, score it by cross-validation, and write the run folder.

    Args:
        start: weights to start from.
        folder: run folder; its `squares/` holds the squares.
        squares: checked squares.
        recipe: how to fine-tune.
        folds: largest number of folds.
        shaping: how probabilities become polygons.
        device: for predictions.
        progress: shows what is done.
    """
    fold = fold_of([square.ground for square in squares], [square.roofs for square in squares], folds)
    enough = len(squares) >= FEWEST and fold.max() > 0
    states: list[State] = []
    for k in range(fold.max() + 1) if enough else (None,):
        learned = [square for square, own in zip(squares, fold, strict=True) if own != k]
        step = progress(f"training {len(states) + 1} of {fold.max() + 1 if enough else 1}", recipe.steps)
        states.append(fine_tune(start, folder / "squares", learned, recipe, step))
    scoring = Scoring(start, folder / "squares", squares, shaping.with_likeness(start.card.likeness), device, progress)
    before = scoring.cases(scoring.values(start.network), [start.card.threshold] * len(squares))
    after, threshold = (None, start.card.threshold) if not enough else _held_out(scoring, states, fold, recipe.share)
    both = scored(before), None if after is None else scored(after)
    result = Adapted(squares, before, after, *both, start.card.threshold, threshold)
    _write(folder, start, blended(start.network, states, recipe.share), result)
    return result


@dataclass(frozen=True)
class Scoring:
    """Arguments of `adapt` for predictions of the squares."""

    start: Run
    folder: Path
    squares: list[Tile]
    shaping: Shaping
    device: str
    progress: Progress

    def source(self) -> CocoSource:
        """Open the squares, as annotated."""
        index = open_index(self.folder / "annotation.json", cache=Path(data_of("coco", root=str(self.folder))["cache"]))
        return CocoSource(self.folder / "images", index, reading=Preparation.of(self.start.card.preparation).reading)

    def values(self, network: nn.Module, among: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """Predict squares, all or some of them: stored probabilities, uint8 (T, H, W) of each."""
        source, card = self.source(), self.start.card
        rows = {name: row for row, name in enumerate(source.names)}
        predictor = Predictor(dataclasses.replace(self.start, network=copy.deepcopy(network)), device=self.device)
        chosen = range(len(self.squares)) if among is None else among
        step, found = self.progress("predicting squares", len(chosen)), []
        for i in chosen:
            square = self.squares[i]
            forward = with_views(windowed(predictor.forward), factor=scale_factor(square.gsd, card), views=None)
            probability = forward(source.picture(rows[square.file])[None])[0]
            found.append(stored(probability, np.ones(probability.shape[1:], bool)))
            step()
        return found

    def cases(self, values: list[NDArray[np.uint8]], cutoffs: Sequence[float]) -> SquareCases:
        """Squares with probabilities and a threshold each, ready to score."""
        targets = self.start.card.targets
        return SquareCases(self.source(), self.squares, values, targets=targets, cutoffs=cutoffs, shaping=self.shaping)


def _held_out(
    scoring: Scoring, states: list[State], fold: NDArray[np.int64], share: float
) -> tuple[SquareCases, float]:
    """Predict each square by weights that did not see it, and choose the threshold.

    The threshold for a square is chosen on the other folds: nothing of the square has a say in its score.

    Returns:
        Cases of all squares, and the threshold chosen on all of them, for the run.
    """
    squares = np.arange(len(fold))
    found: dict[int, NDArray[np.uint8]] = {}
    for k, state in enumerate(states):
        own = squares[fold == k].tolist()
        found |= zip(own, scoring.values(blended(scoring.start.network, [state], share), own), strict=True)
    values = [found[i] for i in squares.tolist()]
    pixels = scoring.cases(values, [1.0] * len(values)).histograms()  # of any threshold
    chosen = [choose_threshold(pixels[i] for i in squares[fold != k].tolist()) for k in range(len(states))]
    return scoring.cases(values, [chosen[k] for k in fold.tolist()]), choose_threshold(pixels)


def _write(folder: Path, start: Run, network: nn.Module, result: Adapted) -> None:
    """Write `scores.json`, then weights and card."""
    scores = record(result)
    write_json(folder / "scores.json", scores)
    data = {
        "name": NAME,
        "start": _portable(start.folder),
        "pictures": {"train": len(result.squares)},
        "roofs": sum(square.roofs for square in result.squares),
    }
    card = dataclasses.replace(
        start.card,
        threshold=result.threshold,
        data=data,
        scores=scores,
        created=now(),
        versions=versions(),
        git=git_hash(),
    )
    save(folder, network, card)


def _portable(folder: Path) -> str:
    """A run of the project by its path inside it, any other by its absolute path."""
    whole = folder.absolute()
    return str(whole.relative_to(PROJECT) if whole.is_relative_to(PROJECT) else whole)


def record(result: Adapted) -> dict[str, Any]:
    """Scores of an adaptation as plain values, for `scores.json` and the card."""
    before = result.scored_before.record()
    after = None if result.scored_after is None else result.scored_after.record()
    found: dict[str, Any] = {
        **(after or {}),
        "split": "squares, each by weights that did not see it" if after else None,
        "pictures": len(result.squares),
        "threshold": result.threshold,
        "before": before,
        "is_better": result.is_better,
    }
    if result.scored_after is not None:
        found["difference"] = {
            key: dataclasses.asdict(difference(result.scored_before, result.scored_after, key)) for key in JUDGED
        }
    return found
