"""Pictures with truth and prediction: a run on a split of a data set, or COCO results on COCO annotations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import Index, Results, open_index, picture_path, read_results
from rooftop.data.calibrate import calibrated
from rooftop.data.layout import open_split, read_layout
from rooftop.data.prepare import Preparation
from rooftop.data.sources import Source
from rooftop.errors import ConfigError, DataError
from rooftop.evaluation.instances import Instances, annotated, detected, patches, shaped
from rooftop.inference import Predictor, open_predictor
from rooftop.inference.outputs import scaled_by
from rooftop.inference.sliding_window import Forward
from rooftop.inference.views import CHOICES, scale_factor, windowed, with_views
from rooftop.polygons.roofs import Shaping
from rooftop.raster.rasterise import decode
from rooftop.raster.reading import read_shown
from rooftop.raster.targets import ROOF
from rooftop.run import Run, load

log = logging.getLogger(__name__)

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One picture with the truth and the prediction for K categories.

    Attributes:
        name: file name.
        picture_id: of the annotations; without annotations the number in the data set, from 1.
        mask: truth, uint8 (K, H, W), 1 = roof.
        valid: bool (H, W), False where nobody judges.
        prediction: uint8 (K, H, W), 1 = roof.
        probability: float32 (K, H, W); None for a results file, because it contains objects only.
        truth: true roofs of each category.
        found: predicted roofs of each category.
        as_cocoeval: for the object scores only `iscrowd` is not judged, as in COCOeval.
        gsd: metres per pixel; None if unknown.
    """

    name: str
    picture_id: int
    mask: Array
    valid: NDArray[np.bool_]
    prediction: Array
    probability: NDArray[np.float32] | None
    truth: list[Instances]
    found: list[Instances]
    as_cocoeval: bool = False
    gsd: float | None = None


class Cases(Protocol):
    """A split to score: a sequence of cases. Each case is made on access and not stored."""

    @property
    def categories(self) -> Sequence[tuple[int, str]]:
        """Return id and name of the K categories."""
        ...

    def __len__(self) -> int:
        """Return the number of pictures."""
        ...

    def __getitem__(self, i: int) -> Case:
        """Read the truth of a picture and predict it."""
        ...

    def picture(self, i: int) -> Array | None:
        """Read the picture itself, uint8 (H, W, C); None if there is no picture file."""
        ...


@dataclass(frozen=True)
class Decision:
    """How probabilities become masks and roofs.

    Attributes:
        threshold: a pixel is roof if its probability is at least this.
        shaping: how roofs become polygons.
        gsd: metres per pixel of the pictures; None if unknown.
    """

    threshold: float
    shaping: Shaping
    gsd: float | None


class RunCases:
    """A run on a split of a data set; every picture keeps its own size.

    Args:
        predictor: of the run.
        source: pictures with truth.
        picks: int64 (N,), indices of the split's pictures in `source`.
        decision: how probabilities become masks and roofs.
        forward: the network with other views, scales or windows; default: one view of the picture as it is.

    Raises:
        DataError: the run and the data set have different numbers of categories.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        picks: NDArray[np.int64],
        decision: Decision,
        *,
        forward: Forward | None = None,
    ) -> None:
        self.source, self.picks = source, picks
        self.forward, self.decision = forward or predictor.forward, decision
        self.targets = predictor.run.card.targets
        known, wanted = predictor.run.card.categories, source.categories
        if len(known) != len(wanted):
            raise DataError(
                f"the run has {len(known)} categories ({', '.join(known)}), the data set {len(wanted)} "
                f"({', '.join(wanted)}); choose with data.categories."
            )
        by_name = {*known} == {*wanted} and len({*known}) == len(known)
        order = [known.index(name) for name in wanted] if by_name else [*range(len(known))]
        if len(known) > 1 and {*known} != {*wanted}:
            log.warning(
                "the run has the categories %s, the data set %s: matched in this order; data.categories=[...] sets it",
                *(", ".join(known), ", ".join(wanted)),
            )
        self._channels = [target * len(known) + k for target in range(len(self.targets)) for k in order]
        self.categories = [(source.category_id(k), name) for k, name in enumerate(wanted)]

    def __len__(self) -> int:
        return len(self.picks)

    def __getitem__(self, i: int) -> Case:
        row = int(self.picks[i])
        channels = self.forward(self.source.picture(row)[None])[0][self._channels]  # categories as in the data set
        return case_of(self.source, row, channels, self.targets, self.decision)

    def picture(self, i: int) -> Array:
        """Read the picture itself."""
        return self.source.picture(int(self.picks[i]))


def case_of(
    source: Source, row: int, channels: NDArray[np.float32], targets: Sequence[str], decision: Decision
) -> Case:
    """Make the case of one picture from its probabilities.

    Args:
        source: pictures with truth.
        row: index of the picture in `source`.
        channels: probability float32 (T K, H, W), categories in the order of `source`.
        targets: names of the T targets.
        decision: how probabilities become masks and roofs.
    """
    mask, valid = source.truth(row)
    probability = channels[: len(source.categories)]
    objects = source.objects(row)
    return Case(
        source.names[row],
        source.picture_id(row),
        mask,
        valid,
        prediction=(probability >= decision.threshold).astype(np.uint8),
        probability=probability,
        # annotated roofs; for a mask picture its connected components
        truth=[*map(patches, mask)]
        if objects is None
        else [annotated(of_category, *valid.shape) for of_category in objects],
        found=shaped(channels, targets, threshold=decision.threshold, shaping=decision.shaping, gsd=decision.gsd),
        gsd=decision.gsd,
    )


class FileCases:
    """A results file on an annotation file, made by any system.

    Args:
        results: the predictions.
        index: the truth.
        categories: ids or names to score; default: all.
        images: folder of the pictures for the report; None draws on grey.
        gsd: metres per pixel; None if unknown.
    """

    def __init__(
        self,
        results: Results,
        index: Index,
        *,
        categories: list[int | str] | None = None,
        images: Path | None = None,
        gsd: float | None = None,
    ) -> None:
        self.results, self.index, self.images, self.gsd = results, index, images, gsd
        names = {category.id: category.name for category in index.categories}
        self._ids = index.category_ids(categories)
        self.categories = [(number, names[number]) for number in self._ids]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Case:
        height, width = self.index.sizes[i].tolist()
        number = int(self.index.ids[i])
        mask, valid = self.index.truth(i, self._ids)
        objects, results = self.index.scored(i), self.results.of(number)
        truth = [annotated([o for o in objects if o.category_id == k], height, width) for k in self._ids]
        found = [detected([r for r in results if r.category_id == k]) for k in self._ids]
        prediction = np.stack([decode(roofs.rles, height, width) for roofs in found])
        name = self.index.names[i]
        return Case(name, number, mask, valid, prediction, None, truth, found, as_cocoeval=True, gsd=self.gsd)

    def picture(self, i: int) -> Array | None:
        """Read the picture itself; None if its folder is unknown.

        Raises:
            DataError: its size differs from the annotations.
        """
        if self.images is None:
            return None
        path = picture_path(self.images, self.index.names[i])
        shown, (height, width) = read_shown(path), self.index.sizes[i].tolist()
        if shown.shape[:2] != (height, width):
            raise DataError(
                f"{path}: {shown.shape[1]} x {shown.shape[0]} px, but {width} x {height} in the annotations; name the "
                "folder of their pictures, or images=null."
            )
        return shown


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """A system to score.

    Attributes:
        name: unique in this evaluation.
        cases: its pictures.
        record: plain values for `scores.json`: the run or file, the data, the settings.
    """

    name: str
    cases: Cases
    record: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """How to use a run.

    Attributes:
        split: train, val or test.
        threshold: a pixel is roof if its probability is at least this; None: the threshold of the run's card.
        shaping: how probabilities become polygons.
        device: auto, cpu, cuda, cuda:1, mps.
        views: test-time augmentation, one of `CHOICES`, or None.
        rescale: scale pictures to the metres per pixel of the training.
        engine: torch, onnxruntime or int8.
    """

    split: str
    threshold: float | None
    shaping: Shaping
    device: str
    views: str | None
    rescale: bool
    engine: str = "torch"


def of_runs(folders: Sequence[str], data: dict[str, Any], choice: Choice) -> list[Subject]:
    """Open run folders on one split of a data set.

    Args:
        folders: run folders.
        data: configuration of the data set, in plain containers.
        choice: how to use the runs.

    Raises:
        ConfigError: no folder is named, or the split cannot be scored.
        RunError: a folder is not a run.
        DataError: the data set cannot be read.
    """
    if choice.views not in (None, *CHOICES):
        raise ConfigError(f"tta={choice.views}: choose {', '.join(CHOICES)} or null.")
    if not folders:
        raise ConfigError("name what to score: run=FOLDER, or predictions=FILE annotations=FILE.")
    return [_of_run(name, Path(folder), data, choice) for name, folder in zip(_names(folders), folders, strict=True)]


def of_files(
    predictions: Sequence[str],
    annotations: str | None,
    *,
    images: str | None,
    cache: Path,
    gsd: float | None = None,
) -> list[Subject]:
    """Open results files on one annotation file.

    Args:
        predictions: results files.
        annotations: the truth.
        images: folder of the pictures for the report; None draws on grey.
        cache: folder of the index, see `rooftop.coco`.
        gsd: metres per pixel of the pictures; None if unknown.

    Raises:
        ConfigError: `annotations` is missing.
        DataError: a file cannot be read.
    """
    if annotations is None:
        raise ConfigError("predictions= needs annotations=FILE, the truth to compare with.")
    index = open_index(Path(annotations), cache=cache)
    for faults in (index.rejected, index.damaged):
        if len(faults):
            log.warning("%s: %s", annotations, faults)
    _warn_of_cocoeval(index)
    folder = None if images is None else Path(images)
    found = [read_results(Path(path), index) for path in predictions]
    for results in found:
        if results.without_outline:
            log.warning(
                "%s: %s of %s results are run lengths without outlines: their outlines follow the pixel edges, so "
                "scores of corners, angles and distances mean little",
                *(results.path, f"{results.without_outline:,}", f"{len(results):,}"),
            )
    return [
        Subject(
            name,
            FileCases(results, index, images=folder, gsd=gsd),
            {"predictions": path, "annotations": annotations, "threshold": None},
        )
        for name, path, results in zip(_names(predictions), predictions, found, strict=True)
    ]


def _warn_of_cocoeval(index: Index) -> None:
    """Warn of annotations that COCOeval, and so the object scores, count in another way than one would expect."""
    hidden = index.scored_only
    facts = [
        f"annotations that cover no pixel ({hidden:,}) count as roofs that nobody finds" * bool(hidden),
        "of several annotations with one id the last counts for all" * index.repeats_ids,
        "a match with the annotation of id 0 does not count" * index.has_id_zero,
    ]
    if any(facts):
        log.warning(
            "%s: AP and AR are those of COCOeval: %s; check_data.py fix=CLEAN writes annotations without this",
            *(index.source, ", ".join(filter(None, facts))),
        )


def _of_run(name: str, folder: Path, data: dict[str, Any], choice: Choice) -> Subject:
    run = load(folder)
    as_annotated = {"targets": [ROOF], "gaps": False}  # not as training changes the masks
    prepared = calibrated({**data, **_preparation(run, data["bands"]), **as_annotated})
    layout = replace(read_layout(prepared, Preparation.of(prepared).reading), prefer=run.card.categories)
    source, picks = open_split(layout, choice.split, data["name"])
    if source.gsds is not None:
        raise ConfigError(
            f"split={choice.split} of the data set {data['name']} is a mix of sources with different roofs and metres "
            "per pixel; score one: data.mix=null 'data.train={images: ..., annotations: ...}' data.gsd=M"
        )
    if source.index is not None:
        _warn_of_cocoeval(source.index)
    log.info("%s: %d pictures", choice.split, len(picks))
    threshold = run.card.threshold if choice.threshold is None else choice.threshold
    factor = scale_factor(data["gsd"], run.card) if choice.rescale else None
    decision = Decision(threshold, choice.shaping.with_likeness(run.card.likeness), data["gsd"])
    record = {"run": str(folder), "data": data["name"], "split": choice.split, "threshold": threshold}
    record |= {
        "engine": choice.engine,
        "tta": choice.views,
        "scaled_by": scaled_by(factor),
        "polygons": asdict(choice.shaping),
    }
    predictor = open_predictor(run, device=choice.device, engine=choice.engine)
    forward = with_views(windowed(predictor.forward), factor=factor, views=choice.views)
    return Subject(name, RunCases(predictor, source, picks, decision, forward=forward), record)


def _preparation(run: Run, bands: list[int] | None) -> dict[str, Any]:
    """Preparation on the card; `bands`, if given, are the numbers of the run's bands in the data set's files."""
    preparation = run.card.preparation
    known = len(preparation["mean"])
    if bands and len(bands) != known:
        raise ConfigError(f"data.bands={bands} names {len(bands)} bands, but the run {run.folder} reads {known}.")
    return {**preparation, "bands": bands} if bands else preparation


def _names(paths: Sequence[str]) -> list[str]:
    """Name each path by its last part, with as many parts before it as needed for unique names."""
    parts = [Path(path.removesuffix(".json")).absolute().parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"{paths[0]} is named twice; name another run or file to compare it with.")
