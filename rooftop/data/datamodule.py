"""The LightningDataModule: a data configuration becomes loaders of batches."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from rooftop.coco import lessons
from rooftop.data.augment import Augment, check_operations, one_thread
from rooftop.data.calibrate import Opened, calibrated, uncalibrated_layout
from rooftop.data.dataset import Batch, RoofDataset, collate
from rooftop.data.layout import open_split
from rooftop.data.loader import PREFETCH, SlabLoader, make_slabs
from rooftop.data.prepare import Preparation
from rooftop.data.sampling import EvaluationBatches, Key, TrainingBatches
from rooftop.data.sources import Source
from rooftop.data.window import Window
from rooftop.errors import ConfigError, DataError

log = logging.getLogger(__name__)
Loader = DataLoader[dict[str, Any]]


class RoofDataModule(LightningDataModule):
    """Loaders of one data set; built lazily, a split at a time.

    Args:
        config: the resolved `data` group as plain containers; see `conf/data/common/loading.yaml`. Missing scale,
            mean and standard deviation are measured on the training pictures at once.
        operations: albumentations operations for training, by name; None is left out.
        seed: fixes order and augmentation.

    Raises:
        ConfigError: an operation or a value does not fit the number of bands.
        DataError: nothing can be measured on the training pictures.
    """

    def __init__(self, config: dict[str, Any], *, operations: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        super().__init__()
        self._layout = uncalibrated_layout(config)
        self._opened: dict[str, Opened] = {}
        config = calibrated(config, lambda: self._open("train", config["name"]))
        self.config, self.seed = config, seed
        self.preparation = Preparation.of(config)
        check_operations(operations or {}, self.channels)
        chain = [item for item in (operations or {}).values() if item]
        self._augment = Augment(chain, seed=seed, targets=len(config["targets"]))
        window = config["window"]
        self._window = Window(**window, seed=seed) if window else None
        self._layout = replace(self._layout, reading=self.preparation.reading)
        for source, _ in self._opened.values():
            source.read_with(self.preparation.reading)
        self._datasets: dict[str, RoofDataset] = {}

    def dataset(self, split: str) -> RoofDataset:
        """The split, opened on first use.

        Raises:
            ConfigError: the data set has no such split.
            DataError: folders, annotations, pictures or masks are missing or invalid.
        """
        if split not in self._datasets:
            training = split == "train"
            source, picks = self._open(split, self.config["name"]) if training else self._as_trained(split)
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

    def _open(self, split: str, name: str, prefer: tuple[str, ...] = ()) -> Opened:
        """Open a split once; calibration may have opened the training split before."""
        if split not in self._opened:
            self._opened[split] = open_split(replace(self._layout, prefer=prefer), split, name)
        return self._opened[split]

    def _as_trained(self, split: str) -> Opened:
        """Open a split with the channels of the training: by name, since files list categories in any order."""
        known = self.categories
        source, picks = self._open(split, self.config["name"], known)
        if len(source.categories) != len(known):
            raise DataError(
                f"the {split} split of the data set {self.config['name']} has {len(source.categories)} categories, "
                f"the train split {len(known)} ({', '.join(known)}); choose by data.categories."
            )
        return source, picks

    @property
    def channels(self) -> int:
        """C, number of bands of a picture."""
        return len(self.preparation.mean)

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the K categories."""
        return self.dataset("train").source.categories

    @property
    def learnable_categories(self) -> tuple[str, ...]:
        """Names that `data.categories` can choose for training; none for masks and mixes."""
        source = self.dataset("train").source
        if source.index is None:
            return ()
        return tuple(lesson.category.name for lesson in lessons(source.index) if lesson.is_learnable)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the T targets, roof first; channel t K + k of masks and logits is target t of category k."""
        return self._layout.drawing.targets

    @property
    def classes(self) -> int:
        """Number of channels of masks and logits: T K."""
        return len(self.targets) * len(self.categories)

    @property
    def test_split(self) -> str:
        """`test`, or `val` for a data set without test split."""
        return "test" if self._layout.splits["test"] else "val"

    def setup(self, stage: str) -> None:
        """Open the splits of the stage before any epoch: faults show at once."""
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
            shares=source.shares,
            same=bool(getattr(self.trainer, "overfit_batches", 0)),
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

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Normalise on the device of the batch: pictures uint8 (B, H, W, C) become image float32 (B, C, H, W)."""
        return {"image": self.preparation.normalise_batch(batch["picture"]), **batch}

    def _gsds(self, source: Source) -> NDArray[np.float64] | None:
        """Metres per pixel of each picture, if they are needed."""
        if source.gsds is not None:
            return source.gsds
        if self._window and not self.config["gsd"]:
            raise ConfigError(
                "data.window draws metres per pixel, but data.gsd is unknown; set it, or data.window=null."
            )
        return np.full(len(source.names), self.config["gsd"], dtype=float) if self._window else None

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _bytes(self, dataset: RoofDataset) -> int:
        """Of the largest batch of a split, by one sample and the sizes of the others."""
        sample = dataset[Key(0, 0)]
        arrays = [sample[name] for name in ("picture", "mask", "valid")]
        fixed = bool(dataset.window or (self.preparation.size and dataset.augment))
        pixels = sample["valid"].size if fixed else int(dataset.sizes.astype(np.int64).prod(axis=1).max())
        each: int = sum(array.nbytes for array in arrays) * pixels // sample["valid"].size
        size: int = self.config["batch_size"]
        return size * (each + 64) + 1024

    def _loader(self, dataset: RoofDataset, batches: Any) -> Loader:
        workers = self.config["workers"]
        slabs = make_slabs(workers, self._bytes(dataset)) if workers else None
        return SlabLoader(
            dataset=dataset,
            batch_sampler=batches,
            collate_fn=partial(collate, fill=self.preparation.middle, slabs=slabs),
            num_workers=workers,
            worker_init_fn=one_thread,
            persistent_workers=workers > 0,
            prefetch_factor=PREFETCH if workers else None,
            slabs=slabs,
            pin=self.trainer is not None and self.trainer.accelerator.__class__.__name__ == "CUDAAccelerator",
        )
