"""What the root files of `conf/` may hold: one dataclass a script or group, and the range of values a type cannot say.

Dataclasses have no defaults, since values live in YAML. Groups with `_target_` (model, loss, ...) are checked
against the signature of their target instead. A range is a rule: it takes a value and returns what is wrong with it,
nothing if it is right. null is left to the schema.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from rooftop.errors import ConfigError


@dataclass
class SplitConfig:
    """Where one split lies, relative to `data.root`: pictures with a COCO json, or with a folder of masks."""

    images: str
    annotations: str | None = None
    masks: str | None = None


@dataclass
class PartConfig(SplitConfig):
    """One source of a mix: where it lies, which of its pictures, how coarse, how often."""

    match: str | None = MISSING
    skip: list[str] = MISSING
    gsd: float = MISSING
    weight: float = MISSING


@dataclass
class WindowConfig:
    """Training windows: size (height, width) in px; lowest and highest gsd in metres per pixel; names of filters."""

    size: list[int]
    gsd: list[float]
    filters: list[str] = field(default_factory=lambda: ["bilinear"])


@dataclass
class DataConfig:
    """A data set; see `conf/data/common/loading.yaml` for what each key means."""

    name: str
    root: str
    train: SplitConfig | None
    mix: dict[str, PartConfig] | None
    val: SplitConfig | None
    test: SplitConfig | None
    val_share: float
    place: str | None
    categories: list[Any] | None
    masks: str | None
    gsd: float | None
    mean: list[float] | None
    std: list[float] | None
    size: list[int] | None
    window: WindowConfig | None
    draws: int | None
    targets: list[str]
    gaps: bool
    batch_size: int
    workers: int
    cache: str
    # those below are younger than some runs, which go on with their own configuration
    bands: list[int] | None = None
    scale: list[Any] | None = None  # pairs
    percentiles: list[float] | None = None


@dataclass
class MonitorConfig:
    """The score that chooses the best checkpoint and that `train.py` hands to sweepers."""

    name: str
    mode: str


@dataclass
class MachinesConfig:
    """What a prediction runs on; those keys of Lightning's Trainer that are not about training."""

    accelerator: str
    devices: Any
    num_nodes: int
    strategy: str


@dataclass
class PolygonsConfig:
    """How probabilities become outlines; see `conf/polygons/square.yaml` for what each key means."""

    separate: float | None
    tolerance: float
    angle: float | None
    shift: float
    min_area: float
    min_hole: float


@dataclass
class BootstrapConfig:
    """How often the pictures are drawn, and the seed of the draws."""

    rounds: int
    seed: int


@dataclass
class SharesConfig:
    """Share of the ground of each split."""

    train: float
    val: float
    test: float


@dataclass
class TrainConfig:
    """Keys of `conf/train.yaml`."""

    data: DataConfig
    augmentation: Any
    model: Any
    loss: Any
    optimizer: Any
    scheduler: Any
    trainer: Any
    callbacks: Any
    logger: Any
    monitor: MonitorConfig
    seed: int
    resume: str | None
    compile: bool
    channels_last: bool
    threshold: float
    choose_threshold: bool
    pictures: int


@dataclass
class EvaluateConfig:
    """Keys of `conf/evaluate.yaml`."""

    data: DataConfig
    run: Any
    compare: str | None
    predictions: Any
    annotations: str | None
    images: str | None
    split: str
    threshold: float | None
    polygons: PolygonsConfig
    max_dets: int
    bootstrap: BootstrapConfig
    as_published: str | None
    examples: int
    device: str
    tta: str | None
    rescale: bool


Engine = Enum("Engine", ["torch", "onnxruntime"])


@dataclass
class PredictConfig:
    """Keys of `conf/predict.yaml`."""

    source: str
    run: str
    threshold: float | None
    trainer: MachinesConfig
    engine: Engine
    polygons: PolygonsConfig
    window: int
    overlap: int
    batch: int
    tta: str | None
    gsd: float | None
    rescale: bool
    bands: list[int] | None
    probability: bool
    unfinished: str


@dataclass
class MakeMasksConfig:
    """Keys of `conf/make_masks.yaml`."""

    data: DataConfig
    limit: int | None
    processes: int
    init: bool


@dataclass
class CheckDataConfig:
    """Keys of `conf/check_data.yaml`."""

    data: DataConfig
    processes: int
    fix: str | None
    borders: bool
    apart: str


@dataclass
class MakeTilesConfig:
    """Keys of `conf/make_tiles.yaml`."""

    source: str
    footprints: str
    layer: str | None
    size: int
    overlap: int
    gsd: float | None
    min_valid: float
    min_area: float
    shares: SharesConfig


@dataclass
class MakeSyntheticConfig:
    """Keys of `conf/make_synthetic.yaml`."""

    count: int
    size: int
    gsd: float
    seed: int
    density: float
    shares: SharesConfig
    scene: int | None
    processes: int


@dataclass
class ExportConfig:
    """Keys of `conf/export.yaml`."""

    run: str


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "make_masks": MakeMasksConfig,
    "check_data": CheckDataConfig,
    "make_tiles": MakeTilesConfig,
    "make_synthetic": MakeSyntheticConfig,
    "export": ExportConfig,
}


Rule = Callable[[Any], str]
_PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
_FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")  # of Pillow
NAMED = ("augmentation", "callbacks", "logger")  # groups whose members are built one by one
SCORES = tuple(
    f"{stage}/{name}" for stage in ("val", "train") for name in ("iou", "f1", "precision", "recall", "accuracy", "loss")
)


def check_ranges(settings: Mapping[str, Any]) -> None:
    """Hold the values of a configuration against `RANGES`, and the members of the named groups against their form.

    Args:
        settings: plain, resolved containers; keys that they lack are passed over.

    Raises:
        ConfigError: a value outside its range, or a member without `_target_`.
    """
    for key, rule in RANGES.items():
        value = _at(settings, key)
        if value is not None and (wrong := _complaint(rule, value)):
            raise ConfigError(f"{key}={value}: {wrong}.")
    for group in NAMED:
        for name, node in (settings.get(group) or {}).items():
            if node is not None and not (isinstance(node, Mapping) and "_target_" in node):
                key = f"{group}.{name}"
                raise ConfigError(f"{key} has no _target_: add +{key}._target_=CLASS, or take it out by {key}=null.")
    monitor = settings.get("monitor")
    if monitor and monitor["mode"] != (best := "min" if monitor["name"].endswith("/loss") else "max"):
        raise ConfigError(
            f"monitor.mode={monitor['mode']}: would keep the worst weights by {monitor['name']}; set "
            f"monitor.mode={best}."
        )


def _at(settings: Any, key: str) -> Any:
    for name in key.split("."):
        settings = settings.get(name) if isinstance(settings, Mapping) else None
    return settings


def _complaint(rule: Rule, value: Any) -> str:
    try:
        return rule(value)
    except TypeError:  # no number where one is needed
        return "must be a number"


def _must(be: str, holds: Callable[[Any], bool]) -> Rule:
    return lambda value: "" if holds(value) else f"must be {be}"


def _at_least(least: int) -> Rule:
    return _must(f"{least} or more", lambda value: value >= least)


def _two(values: Any) -> bool:
    return len(values) == 2 and all(value > 0 for value in values)


def _place(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression: {error}"
    return ""


def _score(name: str) -> str:
    if name in SCORES:
        return ""
    return f"is no score; the nearest is {difflib.get_close_matches(name, SCORES, n=1, cutoff=0)[0]}"


_SHARE = _must("above 0 and below 1", lambda value: 0 < value < 1)
_FROM_0_TO_1 = _must("a share from 0 to 1", lambda share: 0 <= share <= 1)
_ABOVE_0 = _must("above 0", lambda value: value > 0)
_SIZE = _must("height and width in px, two whole numbers of 1 or more", _two)

RANGES: dict[str, Rule] = {
    "seed": _must("from 0 to 4294967295", lambda seed: 0 <= seed < 2**32),
    "threshold": _SHARE,
    "pictures": _at_least(0),
    "data.batch_size": _at_least(1),
    "data.workers": _at_least(0),
    "data.draws": _at_least(1),
    "data.val_share": _SHARE,
    "data.gsd": _ABOVE_0,
    "data.size": _SIZE,
    "data.window.size": _SIZE,
    "data.window.gsd": _must("two numbers above 0, the lower one first", lambda gsd: _two(gsd) and gsd[0] <= gsd[1]),
    "data.window.filters": _must(
        f"one or more of {', '.join(_FILTERS)}", lambda some: bool(some) and {*some} <= {*_FILTERS}
    ),
    "data.categories": _must("null or name one category or more", lambda names: len(names) > 0),
    "data.place": _place,
    "data.std": _must("above 0 for each band", lambda std: all(value > 0 for value in std)),
    "optimizer.lr": _at_least(0),
    "scheduler.rise": _FROM_0_TO_1,
    "callbacks.average.decay": _FROM_0_TO_1,
    "trainer.max_epochs": _at_least(1),
    "trainer.precision": _must("32-true, or on a GPU bf16-mixed or 16-mixed", lambda kind: str(kind) in _PRECISIONS),
    "monitor.name": _score,
    "callbacks.early_stop.monitor": _score,
    "monitor.mode": _must("min or max", lambda mode: mode in ("min", "max")),
    "max_dets": _at_least(1),
    "bootstrap.rounds": _at_least(1),
    "bootstrap.seed": _at_least(0),
    "examples": _at_least(0),
    "gsd": _ABOVE_0,
    "processes": _at_least(1),
    "limit": _at_least(1),
    "size": _at_least(1),
    "min_valid": _FROM_0_TO_1,
}
