"""A picture from file to finished files: read as a whole, predicted in one pass."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import SourceError
from rooftop.inference.job import Finished, Job
from rooftop.inference.outputs import scaled_by, summary_row, write_outlines
from rooftop.inference.predictor import Predictor
from rooftop.inference.sources import Source
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers, Spool, find_roofs
from rooftop.raster.bands import as_rgb
from rooftop.raster.geotiff import open_scene
from rooftop.raster.picture import MAX_PIXELS, is_transparent, write_mask, write_png
from rooftop.raster.steps import at_least, stored
from rooftop.raster.windows import Window


def predict_one_picture(predictor: Predictor, source: Source, job: Job) -> Finished:
    """Write every file of one picture; its outlines are in pixels, since it has no place on the map.

    Raises:
        DataError: the picture cannot be read.
        SourceError: it lacks one of the bands that are asked for, or would be scaled to more than memory holds.
    """
    picture, valid = _read(predictor, Path(source.path), job)
    _require_bounded(picture.shape, source, predictor, job)
    forward = job.asked(predictor, scene=False, gsd=job.gsd)
    values = stored(forward(picture[None])[0], valid)
    picture = as_rgb(picture)
    layers = Layers.of(values, job.targets)
    mask = at_least(values[: layers.categories], job.threshold).max(axis=0)
    ground = Ground(None, job.gsd)
    found = find_roofs(layers, threshold=job.threshold, shaping=job.shaping, ground=ground)
    roofs = Spool(job.folder / ".roofs" / f"{source.stem}.jsonl", found)
    write_mask(job.path("masks.png", source.stem), mask)
    write_png(job.path("overlays.png", source.stem), overlay(picture, mask))
    about = (*mask.shape, ground, picture)
    write_outlines(job, source.stem, roofs, scene=about)
    pixels = int(mask.sum()), int(valid.sum())
    row = summary_row(source, mask.shape, ground=ground, pixels=pixels, roofs=roofs)
    row |= {"scaled_by": scaled_by(job.factor(predictor, job.gsd))}
    return Finished(row, roofs, picture, mask)


def _read(predictor: Predictor, path: Path, job: Job) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What the network sees, uint8 (H, W, C), and where there is a picture, bool (H, W)."""
    preparation = predictor.preparation_of(job.bands)
    if preparation.bands is None and (job.bands or is_transparent(path, key="bands")):
        with open_scene(str(path), bands=job.bands) as scene:
            return scene.read(Window(0, 0, scene.width, scene.height))
    reading = preparation.reading
    picture, valid = reading.picture(path), reading.valid(path)
    return picture, np.ones(picture.shape[:2], bool) if valid is None else valid


def _require_bounded(shape: tuple[int, ...], source: Source, predictor: Predictor, job: Job) -> None:
    factor = job.factor(predictor, job.gsd) or 1
    height, width = (round(side * factor) for side in shape[:2])
    if height * width > MAX_PIXELS:
        raise SourceError(
            f"{source.path}: gsd={job.gsd} would scale it to {width} x {height} px for a run that learned at "
            f"{predictor.run.card.gsd} m; say the metres of one of its pixels, or rescale=false."
        )
