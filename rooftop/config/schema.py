"""What the root files of `conf/` may hold: one dataclass a script.

Groups with `_target_` (model, loss, optimizer, ...) are checked against the signature of their target instead.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from rooftop.config.groups import (
    BootstrapConfig,
    DataConfig,
    MachinesConfig,
    MonitorConfig,
    PolygonsConfig,
    SharesConfig,
)


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
