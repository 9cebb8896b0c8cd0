"""What is laid over what: the pictures of a split with truth and prediction, from a run or from two COCO files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import Index, Results, picture_path
from rooftop.data.sources import CocoSource, Source
from rooftop.errors import DataError
from rooftop.evaluation.roofs import Roofs, annotated, detected, patches, shaped
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Forward
from rooftop.polygons.roofs import Shaping
from rooftop.raster.rasterise import decode
from rooftop.raster.reading import read_shown

log = logging.getLogger(__name__)

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One picture, its truth and its prediction.

    name: file name. picture_id: as in the annotations, else its place in the split. mask and prediction: uint8
    (K, H, W). valid: bool (H, W). probability: float32 (K, H, W), or None where only objects are known. truth and
    found: roofs of each of the K categories.
    """

    name: str
    picture_id: int
    mask: Array
    valid: NDArray[np.bool_]
    prediction: Array
    probability: NDArray[np.float32] | None
    truth: list[Roofs]
    found: list[Roofs]


class Cases(Protocol):
    """A split that can be scored: a sequence of cases, each made when it is asked for."""

    @property
    def categories(self) -> Sequence[tuple[int, str]]:
        """Give id and name of the K categories."""
        ...

    def __len__(self) -> int:
        """Count the pictures."""
        ...

    def __getitem__(self, i: int) -> Case:
        """Lay truth and prediction of a picture over each other."""
        ...

    def picture(self, i: int) -> Array | None:
        """Read the picture itself, uint8 (H, W, 3), or None where there is none."""
        ...


@dataclass(frozen=True)
class Cut:
    """How probabilities become masks and roofs.

    threshold: from which on a pixel is called roof. shaping: how roofs become polygons. gsd: metres per pixel of the
    pictures, or None if unknown.
    """

    threshold: float
    shaping: Shaping
    gsd: float | None


class RunCases:
    """A run over a split of a data set: every picture in its own size.

    Args:
        predictor: of the run.
        source: pictures with truth.
        picks: int64, which of them make up the split.
        cut: how probabilities become masks and roofs.
        forward: the network asked otherwise than by one look at the picture as it is.

    Raises:
        DataError: the truth has another number of categories than the run.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        picks: NDArray[np.int64],
        cut: Cut,
        *,
        forward: Forward | None = None,
    ) -> None:
        self.source, self.picks = source, picks
        self.forward, self.cut = forward or predictor.forward, cut
        self.targets = predictor.run.card.targets
        known, asked = predictor.run.card.categories, source.categories
        if len(known) != len(asked):
            raise DataError(
                f"the run tells {len(known)} categories ({', '.join(known)}), the data set {len(asked)} "
                f"({', '.join(asked)}); choose by data.categories."
            )
        places = [known.index(label) for label in asked] if {*known} == {*asked} else [*range(len(known))]
        if len(known) > 1 and {*known} != {*asked}:
            log.warning(
                "the run tells %s, the data set %s: taken for the same in this order; data.categories=[...] sets it",
                *(", ".join(known), ", ".join(asked)),
            )
        self._channels = [target * len(known) + place for target in range(len(self.targets)) for place in places]
        self._ids = self.source.index.category_ids(list(asked)) if isinstance(self.source, CocoSource) else [1]
        self.categories = list(zip(self._ids, asked, strict=True))

    def __len__(self) -> int:
        return len(self.picks)

    def __getitem__(self, i: int) -> Case:
        at = int(self.picks[i])
        mask, valid = self.source.truth(at)
        said = self.forward(self.source.picture(at)[None])[0][self._channels]  # in the data set's order
        found = shaped(said, self.targets, threshold=self.cut.threshold, shaping=self.cut.shaping, gsd=self.cut.gsd)
        probability = said[: len(self.categories)]
        prediction = (probability >= self.cut.threshold).astype(np.uint8)
        name, number = self.source.names[at], self._picture_id(at)
        return Case(name, number, mask, valid, prediction, probability, self._truth(at, mask), found)

    def picture(self, i: int) -> Array:
        """Read the picture itself."""
        return self.source.picture(int(self.picks[i]))

    def _picture_id(self, at: int) -> int:
        return int(self.source.index.ids[at]) if isinstance(self.source, CocoSource) else at + 1

    def _truth(self, at: int, mask: Array) -> list[Roofs]:
        """Annotated roofs, or the patches of a mask picture where there is nothing else."""
        if not isinstance(self.source, CocoSource):
            return [patches(channel) for channel in mask]
        objects, size = self.source.index.objects(at), mask.shape[1:]
        return [annotated([o for o in objects if o.category_id == number], *size) for number in self._ids]


class FileCases:
    """A results file over an annotation file, whatever made it.

    Args:
        results: what was found.
        index: the truth.
        categories: ids or names to be scored; None takes all.
        images: folder of the pictures, for the report; None draws on grey.
    """

    def __init__(
        self, results: Results, index: Index, *, categories: list[int | str] | None = None, images: Path | None = None
    ) -> None:
        self.results, self.index, self.images = results, index, images
        names = {category.id: category.name for category in index.categories}
        self._ids = index.category_ids(categories)
        self.categories = [(number, names[number]) for number in self._ids]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Case:
        height, width = self.index.sizes[i].tolist()
        number = int(self.index.ids[i])
        mask, valid = self.index.truth(i, self._ids)
        objects, results = self.index.objects(i), self.results.of(number)
        truth = [annotated([o for o in objects if o.category_id == k], height, width) for k in self._ids]
        found = [detected([r for r in results if r.category_id == k]) for k in self._ids]
        prediction = np.stack([decode(roofs.rles, height, width) for roofs in found])
        return Case(self.index.names[i], number, mask, valid, prediction, None, truth, found)

    def picture(self, i: int) -> Array | None:
        """Read the picture itself, if its folder is known."""
        if self.images is None:
            return None
        path = picture_path(self.images, self.index.names[i])
        shown, (height, width) = read_shown(path), self.index.sizes[i].tolist()
        if shown.shape[:2] != (height, width):
            raise DataError(
                f"{path}: {shown.shape[1]} x {shown.shape[0]} px, but the annotations say {width} x {height}; name the "
                "folder of their pictures, or images=null."
            )
        return shown
