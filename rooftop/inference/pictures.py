"""A picture from file to finished files: read as a whole, predicted in one pass."""

from pathlib import Path

import numpy as np

from rooftop.inference.job import Done, Job
from rooftop.inference.predictor import Predictor
from rooftop.inference.sources import Source
from rooftop.inference.summary import scaled_by, summary_row
from rooftop.inference.vectors import write_outlines
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.layers import Layers
from rooftop.polygons.roofs import find_roofs
from rooftop.polygons.spool import Spool
from rooftop.raster.bands import as_rgb
from rooftop.raster.picture import write_mask, write_png
from rooftop.raster.steps import at_least, stored


def predict_one_picture(predictor: Predictor, source: Source, job: Job) -> Done:
    """Write every file of one picture; its outlines are in pixels, since it has no place on the map.

    Raises:
        DataError: the picture cannot be read.
    """
    reading, path = predictor.preparation_of(job.bands).reading, Path(source.path)
    picture, valid = reading.picture(path), reading.valid(path)
    valid = np.ones(picture.shape[:2], bool) if valid is None else valid
    forward = job.asked(predictor, scene=False, gsd=job.gsd)
    values = stored(forward(picture[None])[0], valid)
    picture = as_rgb(picture)
    layers = Layers.of(values, job.targets)
    mask = at_least(values[: layers.categories], job.threshold).max(axis=0)
    ground = Ground(None, job.gsd or predictor.run.card.gsd)
    found = find_roofs(layers, threshold=job.threshold, shaping=job.shaping, ground=ground)
    roofs = Spool(job.folder / ".roofs" / f"{source.stem}.jsonl", found)
    write_mask(job.path("masks.png", source.stem), mask)
    write_png(job.path("overlays.png", source.stem), overlay(picture, mask))
    about = (*mask.shape, ground, picture)
    write_outlines(job, source.stem, roofs, scene=about)
    pixels = int(mask.sum()), int(valid.sum())
    row = summary_row(source, mask.shape, ground=ground, pixels=pixels, roofs=roofs)
    row |= {"scaled_by": scaled_by(job.factor(predictor, job.gsd))}
    return Done(row, roofs, picture, mask)
