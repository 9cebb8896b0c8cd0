"""The settings of one prediction, as a person typed them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rooftop.errors import ConfigError
from rooftop.inference.area import Area
from rooftop.inference.check_first import Check
from rooftop.inference.sliding_window import Tiling
from rooftop.inference.views import CHOICES
from rooftop.polygons.formats import check_formats
from rooftop.polygons.roofs import Shaping
from rooftop.raster.georeference import parse_system
from rooftop.raster.windows import WHOLE

_CPU, _GPU = Tiling(768, 96, 1), Tiling(1024, 96, 2)  # the usual windows; 1.5 GB with the shipped weights on a CPU


@dataclass(frozen=True)
class Job:
    """Settings of one prediction; see `conf/predict.yaml`.

    Attributes:
        folder: output folder.
        threshold: lowest probability of a roof pixel, in (0, 1); None: the threshold on the run's card.
        shaping: how probabilities become polygons.
        window: side of the windows of a scene, in pixels of the training resolution; None: as the device has memory.
        overlap: of neighbouring windows in pixels, at most half a window.
        batch: windows predicted together; None: as the device has memory.
        views: test-time augmentation: one of `CHOICES`, None (one view) or "auto".
        gsd: metres per pixel of the sources; None: taken from the file, else unknown. For a source with a place on the
            map it changes only the scale of the network's input, never a measured length or area.
        rescale: scale the network's input to the metres per pixel of its training.
        crs: reference system of sources without one, e.g. "EPSG:32645".
        bands: 1-based band numbers to read; None: the bands on the run's card, else red, green and blue.
        probability: write the probability of a scene as GeoTIFF.
        unfinished: folder for the canvases of unfinished scenes.
        area: of the ground to predict; None: all.
        formats: of the outlines, keys of `rooftop.polygons.formats.FORMATS`.
        check: squares to look at first; None: none.

    Raises:
        ConfigError: a number is out of its range, such as a threshold of 1, or a code is none; the sentence names its
            key.
    """

    folder: Path
    threshold: float | None
    shaping: Shaping
    window: int | None
    overlap: int
    batch: int | None
    views: str | None
    gsd: float | None
    rescale: bool
    crs: str | None
    bands: tuple[int, ...] | None
    probability: bool
    unfinished: Path
    area: Area | None = None
    formats: tuple[str, ...] = ("gpkg", "geojson")
    check: Check | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any], folder: Path) -> "Job":
        """Make it from the checked settings of `conf/predict.yaml` as plain containers.

        Args:
            settings: by key; others, such as the source, are left out.
            folder: output folder.
        """
        return cls(
            folder=folder,
            threshold=settings["threshold"],
            shaping=Shaping(**settings["polygons"]),
            window=settings["window"],
            overlap=settings["overlap"],
            batch=settings["batch"],
            views=settings["tta"],
            gsd=settings["gsd"],
            rescale=settings["rescale"],
            crs=settings["crs"],
            bands=tuple(settings["bands"]) if settings["bands"] else None,
            probability=settings["probability"],
            unfinished=Path(settings["unfinished"]),
            area=Area.of(settings["aoi"], settings["bbox"]),
            formats=tuple(settings["formats"]),
            check=Check(**settings["check"]) if settings["check"] else None,
        )

    def __post_init__(self) -> None:
        window = _CPU.window if self.window is None else self.window
        if not 0 <= 2 * self.overlap <= window:
            raise ConfigError(f"overlap={self.overlap} must lie between 0 and half of window={window}.")
        if min(window, self.batch or 1) < 1 or self.batch == 0:
            raise ConfigError(f"window={window} and batch={self.batch} must be 1 or more.")
        if self.views not in (None, "auto", *CHOICES):
            raise ConfigError(f"tta={self.views}: choose auto, {', '.join(CHOICES)} or null.")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold} must be a probability, above 0 and below 1.")
        if self.gsd is not None and not 0 < self.gsd < math.inf:
            raise ConfigError(f"gsd={self.gsd} must be metres per pixel, above 0.")
        check_formats(self.formats)
        if self.crs is not None:
            parse_system(self.crs)

    def tiling(self, device: str) -> Tiling:
        """Windows in pixels as the network sees them, on a type of device such as "cpu"."""
        usual = _CPU if device == "cpu" else _GPU
        return Tiling(self.window or usual.window, self.overlap, self.batch or usual.batch)

    def largest_pass(self, device: str) -> int:
        """Pixels of a picture that the network may see in one pass, on a type of device such as "cpu"."""
        return max(self.tiling(device).window, _CPU.window) ** 2 if device == "cpu" else WHOLE

    def views_of(self, *, scene: bool) -> str | None:
        """Resolve "auto": flips for a picture, one view for a scene, since four views take four times as long."""
        if self.views != "auto":
            return self.views
        return None if scene else "flips"
