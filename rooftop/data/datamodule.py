"""The LightningDataModule: a data configuration becomes loaders of batches."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from rooftop.coco import open_index
from rooftop.data.augment import Augment, one_thread
from rooftop.data.dataset import RoofDataset, collate
from rooftop.data.layout import check_layout
from rooftop.data.mix import MixedSource, take
from rooftop.data.prepare import Preparation
from rooftop.data.sampling import EvaluationBatches, TrainingBatches
from rooftop.data.sources import CocoSource, MaskSource, Source
from rooftop.data.splits import split_by_place
from rooftop.data.window import Window
from rooftop.errors import ConfigError

log = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
PATHS = ("images", "annotations", "masks")
Loader = DataLoader[dict[str, Any]]


@dataclass(frozen=True)
class Places:
    """Where a data set lies and how it is cut; the part of the data configuration that is not about loading."""

    root: Path
    splits: dict[str, dict[str, str | None] | None]
    mix: dict[str, dict[str, Any]] | None
    val_share: float
    place: str | None
    categories: list[int | str] | None
    masks: Path | None
    cache: Path
    gaps: bool


class RoofDataModule(LightningDataModule):
    """Loaders of one data set; built lazily, a split at a time.

    Args:
        config: the resolved `data` group as plain containers; see `conf/data/banepa.yaml`.
        operations: albumentations operations for training, by name; those that are None drop out.
        seed: fixes order and augmentation.
    """

    def __init__(self, config: dict[str, Any], *, operations: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config, self.seed = config, seed
        self.preparation = Preparation.of(config)
        self._augment = Augment([item for item in (operations or {}).values() if item], seed=seed)
        window = config["window"]
        self._window = Window(window["size"], window["gsd"], seed=seed) if window else None
        self._places = _places(config)
        self._datasets: dict[str, RoofDataset] = {}

    def dataset(self, split: str) -> RoofDataset:
        """The split, opened on first use.

        Raises:
            ConfigError: the data set has no such split.
            DataError: folders, annotations, pictures or masks are not as they should be.
        """
        if split not in self._datasets:
            source, picks = _open(self._places, split, self.config["name"])
            training = split == "train"
            self._datasets[split] = RoofDataset(
                source,
                picks,
                preparation=self.preparation,
                augment=self._augment if training else None,
                window=self._window if training else None,
                gsds=self._gsds(source) if training else None,
            )
            log.info("%s: %d pictures", split, len(picks))
        return self._datasets[split]

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the K categories, the channels of masks and logits."""
        return self.dataset("train").source.categories

    @property
    def test_split(self) -> str:
        """`test`, or `val` for a data set that has no test split."""
        return "test" if self._places.splits["test"] else "val"

    def setup(self, stage: str) -> None:
        """Open what the stage needs before any epoch starts, so that faults show at once."""
        for split in {"fit": ("train", "val"), "validate": ("val",)}.get(stage, (self.test_split,)):
            self.dataset(split)

    def train_dataloader(self) -> Loader:
        """Shuffled, augmented batches."""
        dataset = self.dataset("train")
        rank, ranks = self._rank()
        source = dataset.source
        batches = TrainingBatches(
            len(dataset),
            self.config["batch_size"],
            seed=self.seed,
            rank=rank,
            ranks=ranks,
            draws=self.config["draws"],
            shares=source.shares if isinstance(source, MixedSource) else None,
        )
        return self._loader(dataset, batches)

    def val_dataloader(self) -> Loader:
        """Every validation picture once."""
        return self.evaluation_loader("val")

    def test_dataloader(self) -> Loader:
        """Every test picture once."""
        return self.evaluation_loader(self.test_split)

    def evaluation_loader(self, split: str) -> Loader:
        """Every picture of `split` once, in its own size."""
        dataset = self.dataset(split)
        rank, ranks = self._rank()
        return self._loader(
            dataset, EvaluationBatches(dataset.sizes, self.config["batch_size"], rank=rank, ranks=ranks)
        )

    def _gsds(self, source: Source) -> NDArray[np.float64] | None:
        """Metres per pixel of each picture, if they are needed."""
        if isinstance(source, MixedSource):
            return source.gsds
        if self._window and not self.config["gsd"]:
            raise ConfigError(
                "data.window draws metres per pixel, but data.gsd is unknown; set it, or data.window=null."
            )
        return np.full(len(source.names), self.config["gsd"], dtype=float) if self._window else None

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, dataset: RoofDataset, batches: Any) -> Loader:
        workers = self.config["workers"]
        return DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            worker_init_fn=one_thread,
            persistent_workers=workers > 0,
            pin_memory=self.trainer is not None and self.trainer.accelerator.__class__.__name__ == "CUDAAccelerator",
        )


def _places(config: dict[str, Any]) -> Places:
    return Places(
        root=Path(config["root"]),
        splits={split: config[split] for split in SPLITS},
        mix=config["mix"],
        val_share=config["val_share"],
        place=config["place"],
        categories=config["categories"],
        masks=Path(config["masks"]) if config["masks"] else None,
        cache=Path(config["cache"]),
        gaps=config["gaps"],
    )


def _open(places: Places, split: str, name: str) -> tuple[Source, np.ndarray[Any, np.dtype[np.int64]]]:
    """A split's source and which of its pictures belong to it; train and val may share a source."""
    if split not in SPLITS:
        raise ConfigError(f"split={split}: there is no such split; choose one of {', '.join(SPLITS)}.")
    if split == "train" and places.mix:
        mixed = open_mix(places, places.mix)
        return mixed, np.arange(len(mixed.names))
    cut = split in ("train", "val") and places.splits["val"] is None
    where = "train" if cut else split
    if places.splits[where] is None:
        known = ", ".join(key for key in SPLITS if places.splits[key])
        raise ConfigError(f"the data set {name} has no {split} split; choose one of {known}.")
    source = open_source(places, where, gaps=places.gaps and split == "train")
    if not cut:
        return source, np.arange(len(source.names))
    train, val = split_by_place(source.names, places.val_share, places.place)
    return source, train if split == "train" else val


def open_mix(places: Places, mix: dict[str, dict[str, Any]]) -> MixedSource:
    """Open the parts of a mix of sources.

    Raises:
        DataError: folders or files are missing, or a part is empty.
    """
    check_layout(places.root, {name: {key: rule[key] for key in PATHS} for name, rule in mix.items()})
    return MixedSource(
        {name: take(_open_part(places, rule, gaps=places.gaps), rule, name) for name, rule in mix.items()}
    )


def open_source(places: Places, split: str, *, gaps: bool = False) -> Source:
    """Open the pictures and truth that the configuration names for a split.

    Raises:
        DataError: folders or files are missing; the message draws the expected tree.
    """
    part = places.splits[split]
    assert part is not None
    check_layout(places.root, {key: value for key, value in places.splits.items() if value})
    return _open_part(places, part, places.masks / split if places.masks else None, gaps=gaps)


def _open_part(places: Places, part: dict[str, Any], masks: Path | None = None, *, gaps: bool) -> Source:
    images = places.root / str(part["images"])
    if part["masks"]:
        return MaskSource(images, places.root / part["masks"])
    index = open_index(places.root / str(part["annotations"]), cache=places.cache)
    if len(index.rejected):
        listed = "; ".join(f"{identity}: {reason}" for identity, reason in index.rejected.listed[:5])
        log.warning("%s: %s (%s%s)", part["annotations"], index.rejected, listed, "; ..." * (len(index.rejected) > 5))
    return CocoSource(images, index, places.categories, masks, gaps=gaps)
