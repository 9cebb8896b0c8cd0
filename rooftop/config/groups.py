"""What the plain groups of `conf/` may hold: one dataclass a group, no default, since values live in YAML."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


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
