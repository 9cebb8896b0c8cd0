"""The settings of one prediction, as a person typed them."""

import math
from dataclasses import dataclass
from pathlib import Path

from rooftop.errors import ConfigError
from rooftop.inference.sliding_window import Tiling
from rooftop.inference.views import VIEWS
from rooftop.polygons.roofs import Shaping
from rooftop.raster.georeference import parse_system


@dataclass(frozen=True)
class Job:
    """Settings of one prediction; see `conf/predict.yaml`.

    Attributes:
        folder: output folder.
        threshold: lowest probability of a roof pixel, in (0, 1); None: the threshold on the run's card.
        shaping: how probabilities become polygons.
        tiling: windows of a scene, in pixels of the training resolution.
        views: test-time augmentation: a key of `VIEWS`, None (one view) or "auto".
        gsd: metres per pixel of the sources; None: taken from the file, else unknown. For a source with a place on the
            map it changes only the scale of the network's input, never a measured length or area.
        rescale: scale the network's input to the metres per pixel of its training.
        crs: reference system of sources without one, e.g. "EPSG:32645".
        bands: 1-based band numbers to read; None: the bands on the run's card, else red, green and blue.
        probability: write the probability of a scene as GeoTIFF.
        unfinished: folder for the canvases of unfinished scenes.

    Raises:
        ConfigError: a number is out of its range, such as a threshold of 1, or a code is none; the sentence names its
            key.
    """

    folder: Path
    threshold: float | None
    shaping: Shaping
    tiling: Tiling
    views: str | None
    gsd: float | None
    rescale: bool
    crs: str | None
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
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold} must be a probability, above 0 and below 1.")
        if self.gsd is not None and not 0 < self.gsd < math.inf:
            raise ConfigError(f"gsd={self.gsd} must be metres per pixel, above 0.")
        if self.crs is not None:
            parse_system(self.crs)
        _check(self.shaping)

    def views_of(self, *, scene: bool) -> str | None:
        """Resolve "auto": flips for a picture, one view for a scene, since four views take four times as long."""
        if self.views != "auto":
            return self.views
        return None if scene else "flips"


def _check(shaping: Shaping) -> None:
    separate, angle = shaping.separate, shaping.angle
    if separate is not None and not 0 < separate <= 1:
        raise ConfigError(f"polygons.separate={separate} must be a share, above 0 and at most 1, or null.")
    if angle is not None and not 0 <= angle <= 45:
        raise ConfigError(f"polygons.angle={angle} must be degrees from 0 to 45, or null.")
    for key in ("tolerance", "shift", "min_area", "min_hole"):
        if not 0 <= getattr(shaping, key) < math.inf:
            raise ConfigError(f"polygons.{key}={getattr(shaping, key)} must be a number, 0 or more.")
