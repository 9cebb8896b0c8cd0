"""What is to be scored: run folders on a data set, or results files on an annotation file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rooftop.coco import open_index, read_results
from rooftop.data.calibrate import calibrated
from rooftop.data.layout import open_split, read_places
from rooftop.data.prepare import Preparation
from rooftop.data.sources import MixedSource
from rooftop.errors import ConfigError
from rooftop.evaluation.cases import Cases, Cut, FileCases, RunCases
from rooftop.inference import Predictor
from rooftop.inference.outputs import scaled_by
from rooftop.inference.views import VIEWS, scale_factor, windowed, with_views
from rooftop.polygons.roofs import Shaping
from rooftop.raster.targets import ROOF
from rooftop.run import Run, load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """Something to score. name: unique among those scored together. record: plain values that say what it is."""

    name: str
    cases: Cases
    record: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """How a run is used.

    split: train, val or test. threshold: probability from which on a pixel is called roof; None takes that of the
    run's card. shaping: how probabilities become polygons. device: auto, cpu, cuda ... views: test-time augmentation,
    "flips", "d4", "scales" or None. rescale: scale pictures to the metres per pixel that the run learned at.
    """

    split: str
    threshold: float | None
    shaping: Shaping
    device: str
    views: str | None
    rescale: bool


def of_runs(folders: Sequence[str], data: dict[str, Any], choice: Choice) -> list[Subject]:
    """Open run folders on one split of a data set; `data` is its configuration in plain containers.

    Raises:
        ConfigError: no folder is named.
        RunError: a folder is no run.
        DataError: the data set is not as it should be.
    """
    if choice.views not in (None, *VIEWS):
        raise ConfigError(f"tta={choice.views}: choose {', '.join(VIEWS)} or null.")
    if not folders:
        raise ConfigError("name what to score: run=FOLDER, or predictions=FILE annotations=FILE.")
    return [_of_run(name, Path(folder), data, choice) for name, folder in zip(_names(folders), folders, strict=True)]


def of_files(predictions: Sequence[str], annotations: str | None, *, images: str | None, cache: Path) -> list[Subject]:
    """Open results files on one annotation file.

    Args:
        predictions: results files.
        annotations: the truth.
        images: folder of the pictures, for the report; None draws on grey.
        cache: folder of the index, see `rooftop.coco`.

    Raises:
        ConfigError: `annotations` is missing.
        DataError: a file is not what it should be.
    """
    if annotations is None:
        raise ConfigError("predictions= needs annotations=FILE, the truth to lay them over.")
    index = open_index(Path(annotations), cache=cache)
    if len(index.rejected):
        log.warning("%s: %s", annotations, index.rejected)
    folder = None if images is None else Path(images)
    found = [read_results(Path(path), index) for path in predictions]
    for results in found:
        if results.without_outline:
            log.warning(
                "%s: %s of %s results are run lengths alone: their outlines are taken to be stairs of pixels, so that "
                "scores of corners, angles and distances say little",
                *(results.path, f"{results.without_outline:,}", f"{len(results):,}"),
            )
    return [
        Subject(
            name,
            FileCases(results, index, images=folder),
            {"predictions": path, "annotations": annotations, "threshold": None},
        )
        for name, path, results in zip(_names(predictions), predictions, found, strict=True)
    ]


def _of_run(name: str, folder: Path, data: dict[str, Any], choice: Choice) -> Subject:
    run = load(folder)
    categories = data["categories"] or (run.card.categories if len(run.card.categories) > 1 else None)
    asked_for = {"targets": [ROOF], "gaps": False, "categories": categories}  # roofs as they are annotated
    prepared = calibrated({**data, **_preparation(run, data["bands"]), **asked_for})
    source, picks = open_split(read_places(prepared, Preparation.of(prepared).reading), choice.split, data["name"])
    if isinstance(source, MixedSource):
        raise ConfigError(
            f"split={choice.split} of the data set {data['name']} is a mix, whose parts have roofs and metres per "
            "pixel of their own; score one: data.mix=null 'data.train={images: ..., annotations: ...}' data.gsd=M"
        )
    log.info("%s: %d pictures", choice.split, len(picks))
    threshold = run.card.threshold if choice.threshold is None else choice.threshold
    factor = scale_factor(data["gsd"], run.card) if choice.rescale else None
    cut = Cut(threshold, choice.shaping, data["gsd"])
    record = {"run": str(folder), "data": data["name"], "split": choice.split, "threshold": threshold}
    record |= {"tta": choice.views, "scaled_by": scaled_by(factor), "polygons": asdict(choice.shaping)}
    predictor = Predictor(run, device=choice.device)
    forward = with_views(windowed(predictor.forward), factor=factor, views=choice.views)
    return Subject(name, RunCases(predictor, source, picks, cut, forward=forward), record)


def _preparation(run: Run, bands: list[int] | None) -> dict[str, Any]:
    """That of the card; `bands`, if given, say where the data set has the bands that the run knows."""
    preparation = run.card.preparation
    known = len(preparation["mean"])
    if bands and len(bands) != known:
        raise ConfigError(f"data.bands={bands} names {len(bands)} bands, but the run {run.folder} looks at {known}.")
    return {**preparation, "bands": bands} if bands else preparation


def _names(paths: Sequence[str]) -> list[str]:
    """Name each path by its last part, with as many parts before it as tell them apart."""
    parts = [Path(path.removesuffix(".json")).absolute().parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"{paths[0]} is named twice; name what to compare it with.")
