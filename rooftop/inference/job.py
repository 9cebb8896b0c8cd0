"""What a prediction is asked to do, and where its files go."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import ConfigError
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Forward, Tiling
from rooftop.inference.views import VIEWS, scale_factor, windowed, with_views
from rooftop.polygons.roofs import Shaping, Spool

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Settings of one prediction; `conf/predict.yaml`.

    Attributes:
        folder: where results go.
        single: one source, whose files need no name of their own.
        categories: names of what the run finds.
        targets: names of what it answers for each of them, roof first.
        threshold: probability from which on a pixel is roof.
        shaping: how probabilities become polygons.
        tiling: how scenes are cut.
        views: test-time augmentation, "flips", "d4" or "scales"; None = each window is looked at once; "auto" = flips
            for pictures, none for scenes, which would take four times as long.
        gsd: metres per pixel of the sources; None = as their place on the map says, else unknown. Where they have a
            place, it changes the scale at which the network sees them, never what is measured.
        rescale: scale what the network sees to the metres per pixel that it learned at.
        bands: which to read; None = those of the run's card, and without any red, green and blue of scenes.
        probability: write it as GeoTIFF.
        unfinished: folder where a stopped prediction waits to be gone on with.

    Raises:
        ConfigError: a number that means nothing, such as a threshold of 1; the sentence names its key.
    """

    folder: Path
    single: bool
    categories: tuple[str, ...]
    targets: tuple[str, ...]
    threshold: float
    shaping: Shaping
    tiling: Tiling
    views: str | None
    gsd: float | None
    rescale: bool
    bands: tuple[int, ...] | None
    probability: bool
    unfinished: Path

    def __post_init__(self) -> None:
        window, overlap = self.tiling.window, self.tiling.overlap
        if not 0 <= 2 * overlap <= window:
            raise ConfigError(f"overlap={overlap} must lie between 0 and half of window={window}.")
        if min(window, self.tiling.batch) < 1:
            raise ConfigError(f"window={window} and batch={self.tiling.batch} must be 1 or more.")
        if self.views not in (None, "auto", *VIEWS):
            raise ConfigError(f"tta={self.views}: choose auto, {', '.join(VIEWS)} or null.")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold} must be a probability, above 0 and below 1.")
        if self.gsd is not None and not 0 < self.gsd < math.inf:
            raise ConfigError(f"gsd={self.gsd} must be metres per pixel, above 0.")
        _check(self.shaping)

    def asked(self, predictor: Predictor, *, scene: bool, gsd: float | None, shape: float = 1.0) -> Forward:
        """The network asked as this job wants it.

        Args:
            predictor: that is asked.
            scene: it is asked window by window already.
            gsd: metres per pixel of the sources, None = unknown.
            shape: height over width of a pixel on the ground, of which the network sees squares.
        """
        auto = None if scene else "flips"
        window, overlap = self.tiling.window, self.tiling.overlap
        whole = predictor.forward if scene else windowed(predictor.forward, window=window, overlap=overlap)
        factor, root = self.factor(predictor, gsd), math.sqrt(shape)
        scale = factor if shape == 1 else ((factor or 1) * root, (factor or 1) / root)
        return with_views(whole, factor=scale, views=auto if self.views == "auto" else self.views)

    def factor(self, predictor: Predictor, gsd: float | None) -> float | None:
        """By how much sources of `gsd` metres per pixel are scaled; None = not at all."""
        return scale_factor(gsd, predictor.run.card) if self.rescale else None

    def tell_of_distance(self, predictor: Predictor) -> None:
        """Pictures do not say how many metres a pixel has; where it is known, fewer roofs are missed."""
        learned = predictor.run.card.gsd
        if self.gsd is None and self.rescale and learned:
            log.info(
                "pictures are taken to have the %.2f m a pixel at which the run learned; gsd=METRES says otherwise",
                learned,
            )

    def path(self, kind: str, stem: str) -> Path:
        """`roofs.geojson` for the one source, `roofs/<stem>.geojson` for one of several; masks always by stem."""
        name, _, suffix = kind.partition(".")
        if self.single and name not in ("masks", "overlays"):
            return self.folder / kind
        return self.folder / name / f"{stem}.{suffix}"


def _check(shaping: Shaping) -> None:
    separate, angle = shaping.separate, shaping.angle
    if separate is not None and not 0 < separate <= 1:
        raise ConfigError(f"polygons.separate={separate} must be a share, above 0 and at most 1, or null.")
    if angle is not None and not 0 <= angle <= 45:
        raise ConfigError(f"polygons.angle={angle} must be degrees from 0 to 45, or null.")
    for key in ("tolerance", "shift", "min_area", "min_hole"):
        if not 0 <= getattr(shaping, key) < math.inf:
            raise ConfigError(f"polygons.{key}={getattr(shaping, key)} must be a number, 0 or more.")


@dataclass(frozen=True)
class Finished:
    """A finished source.

    Attributes:
        row: what the summary says of it.
        roofs: read as often as needed.
        picture: uint8 (h, w, 3), thinned out where the source is large.
        mask: uint8 (h, w), 1 = roof, on `picture`.
    """

    row: dict[str, Any]
    roofs: Spool
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    def without_pictures(self) -> "Finished":
        """What is needed to the end."""
        nothing = np.zeros((0, 0), np.uint8)
        return Finished(self.row, self.roofs, nothing, nothing)
