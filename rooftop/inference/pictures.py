"""A picture from file to finished files: read whole, predicted in one pass if the device has the memory."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import SourceError
from rooftop.inference.job import Job
from rooftop.inference.outputs import Finished, Outlines, Outputs, scaled_by, summary_row, write_outlines
from rooftop.inference.predictor import Predictor
from rooftop.inference.scene_plan import fit_windows
from rooftop.inference.sliding_window import Forward
from rooftop.inference.sources import Source
from rooftop.inference.views import magnified, scale_factor, windowed, with_views
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers
from rooftop.raster.bands import as_rgb
from rooftop.raster.picture import MAX_PIXELS, write_mask, write_png
from rooftop.raster.probability import at_least, stored
from rooftop.raster.scene import open_scene
from rooftop.raster.windows import Window
from rooftop.run import Card

log = logging.getLogger(__name__)


def predict_picture(source: Source, predictor: Predictor, job: Job, outputs: Outputs) -> Finished:
    """Predict a picture and write all its files; outlines are in pixels, since it has no place on the map.

    Raises:
        DataError: the picture cannot be read.
        SourceError: it lacks a band, `crs=` is set, or `gsd=` would scale it beyond the memory limit.
    """
    if job.crs:
        raise SourceError(
            f"{source.path}: crs={job.crs} cannot place it: it has no corners on a map; leave crs out, and find roofs "
            "in pixels."
        )
    card = predictor.run.card
    picture, valid = _read(Path(source.path), predictor, job)
    factor = scale_factor(job.gsd, card) if job.rescale else None
    _require_bounded(picture.shape, factor, source, card=card, gsd=job.gsd)
    forward = _forward(predictor, job, factor)
    values = stored(forward(picture[None])[0], valid)
    layers = Layers.of(values, outputs.targets)
    picture, mask = as_rgb(picture), at_least(values[: layers.categories], outputs.threshold).max(axis=0)
    ground = Ground(None, job.gsd)
    roofs = outputs.find_roofs(layers, source.stem, ground)
    write_mask(outputs.path("masks.png", source.stem), mask)
    write_png(outputs.path("overlays.png", source.stem), overlay(picture, mask))
    size = picture.shape[0], picture.shape[1]
    write_outlines(Outlines(source.stem, size, picture, ground, roofs), outputs)
    pixels = int(mask.sum()), int(valid.sum())
    row = summary_row(source, size, ground=ground, pixels=pixels, roofs=roofs)
    return Finished(row | {"scaled_by": scaled_by(factor)}, roofs, picture, mask)


def _forward(predictor: Predictor, job: Job, factor: float | None) -> Forward:
    """Predict in one pass what the device has memory for, and larger pictures by windows as in a scene."""
    device, views = predictor.device.type, job.views_of(scene=False)
    forward = with_views(predictor.forward, factor=factor, views=views)
    if predictor.preparation.size:
        return forward  # of any picture the network sees as many pixels
    tiling = fit_windows(job.tiling(device), None, factor, views)
    whole = round(job.largest_pass(device) / ((factor or 1) * magnified(views)) ** 2)
    return windowed(forward, window=tiling.window, overlap=tiling.overlap, whole=whole)


def log_assumed_gsd(card: Card, job: Job) -> None:
    """Log the resolution assumed for pictures, if any: with the true one fewer roofs are missed."""
    if job.gsd is None and job.rescale and card.gsd:
        log.info("pictures: %.2f m a pixel assumed, as in training; gsd=METRES changes it", card.gsd)


def _read(path: Path, predictor: Predictor, job: Job) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Picture uint8 (H, W, C) in the bands of the run, and its valid pixels, bool (H, W)."""
    preparation = predictor.preparation_of(job.bands)
    if preparation.bands is None and job.bands:
        with open_scene(str(path), bands=job.bands) as scene:
            return scene.read(Window(0, 0, scene.width, scene.height))
    reading = preparation.reading
    picture, valid = reading.picture(path), reading.valid(path)
    return picture, np.ones(picture.shape[:2], bool) if valid is None else valid


def _require_bounded(
    shape: tuple[int, ...], factor: float | None, source: Source, *, card: Card, gsd: float | None
) -> None:
    height, width = (round(side * (factor or 1)) for side in shape[:2])
    if height * width > MAX_PIXELS:
        raise SourceError(
            f"{source.path}: gsd={gsd} would scale it to {width} x {height} px for a run trained at {card.gsd} m; "
            "set gsd to the metres of one of its pixels, or rescale=false."
        )
