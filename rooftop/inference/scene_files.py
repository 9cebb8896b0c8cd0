"""Every file of a scene that is predicted."""

import logging
import resource
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftop.inference.canvas import Canvas
from rooftop.inference.job import Done, Job
from rooftop.inference.sources import Source
from rooftop.inference.summary import scaled_by, summary_row
from rooftop.inference.vectors import drawn, write_outlines
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.layers import Layers
from rooftop.polygons.roofs import find_roofs
from rooftop.polygons.spool import Spool
from rooftop.raster.bands import as_rgb
from rooftop.raster.picture import write_png
from rooftop.raster.probability import NODATA, STEP, at_least
from rooftop.raster.scene import Scene
from rooftop.raster.windows import Window
from rooftop.raster.write import Sheet, write_raster

log = logging.getLogger(__name__)
_CUT_OFF = 0.5  # share of a channel beyond the scale from which on a person is told
_PREVIEW = 3000  # pixels, longest side of the pictures under overlay and map


@dataclass(frozen=True)
class Predicted:
    """A scene whose probabilities are on disk.

    Attributes:
        source: where it came from.
        scene: open.
        canvas: its probabilities.
        ground: what a pixel is on the ground.
        job: as scene and run allow it.
        scaled: by what the network saw it larger; None = as it is.
        speed: millions of pixels a second, of all processes together.
    """

    source: Source
    scene: Scene
    canvas: Canvas
    ground: Ground
    job: Job
    scaled: float | None
    speed: float


def write_scene(predicted: Predicted) -> Done:
    """Write every file of a scene that is predicted."""
    scene, source, ground, job = predicted.scene, predicted.source, predicted.ground, predicted.job
    layers = Layers(predicted.canvas.read, predicted.canvas.shape, job.targets)
    found = find_roofs(layers, threshold=job.threshold, shaping=job.shaping, ground=ground)
    roofs = Spool(job.folder / ".roofs" / f"{source.stem}.jsonl", found)
    picture, valid = scene.preview(_PREVIEW)
    _warn_of_scale(source, picture[valid])
    picture = as_rgb(picture)
    mask = drawn(roofs, (scene.height, scene.width), picture.shape[:2])
    write_png(job.path("overlays.png", source.stem), overlay(picture, mask))
    write_outlines(job, source.stem, roofs, scene=(scene.height, scene.width, ground, picture))
    pixels = _write_rasters(scene, layers, source, job=job)
    place = scene.georeference
    row = summary_row(source, (scene.height, scene.width), ground=ground, pixels=pixels, roofs=roofs)
    row |= {"reference_system": place.name if place else None, "scaled_by": scaled_by(predicted.scaled)}
    row |= {"megapixels_per_second": predicted.speed, "peak_memory_mb": _peak()}
    return Done(row, roofs, picture, mask)


def _warn_of_scale(source: Source, pixels: NDArray[np.uint8]) -> None:
    """Tell of a file whose values lie beyond the scale that the run learned with: pixels uint8 (N, C)."""
    cut_off = np.isin(pixels, (0, 255)).mean(axis=0) if len(pixels) else np.zeros(1)
    if cut_off.max() > _CUT_OFF:
        log.warning(
            "%s: %.0f %% of the values of channel %d are as dark or bright as can be; are they in the units of the "
            "training pictures, and are these the bands that the run knows (bands=)?",
            *(source.path, 100 * cut_off.max(), cut_off.argmax() + 1),
        )


def _write_rasters(scene: Scene, layers: Layers, source: Source, *, job: Job) -> tuple[int, int]:
    """Mask and probability of roof; the number of pixels that are roof and of those that have data."""
    count = [0, 0]

    def probability(window: Window) -> NDArray[np.uint8]:
        return layers.read(window)[: layers.categories]

    def mask(window: Window) -> NDArray[np.uint8]:
        values = probability(window)
        roof = at_least(values, job.threshold).max(axis=0, keepdims=True)
        count[0] += int(np.count_nonzero(roof))
        count[1] += int(np.count_nonzero(values[0] != NODATA))
        white: NDArray[np.uint8] = roof * np.uint8(255)
        return white

    size = scene.height, scene.width
    write_raster(job.path("masks.png", source.stem), Sheet(*size, None, ("mask",)), mask)
    if job.probability:
        sheet = Sheet(*size, scene.georeference, job.categories, nodata=NODATA, scale=STEP)
        write_raster(job.path("probability.tif", source.stem), sheet, probability)
    return count[0], count[1]


def _peak() -> int:
    """Largest memory that this process ever had, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))
