"""A picture from file to finished files: read whole, predicted in one pass if the device has the memory."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import SourceError
from rooftop.inference.area import Part
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
from rooftop.raster.georeference import Georeference
from rooftop.raster.picture import MAX_PIXELS, write_mask, write_png
from rooftop.raster.probability import at_least, stored
from rooftop.raster.scene import open_scene
from rooftop.raster.slippy import tile_georeference, tile_of
from rooftop.raster.windows import Window
from rooftop.run import Card

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predicted:
    """A picture with its probabilities.

    Attributes:
        picture: uint8 (H, W, C), in the bands of the run.
        valid: bool (H, W).
        values: stored probabilities, uint8 (T K, H, W).
        ground: size of a pixel on the ground, and its place on the map, if known.
        factor: scale of the network's input; None: not scaled.
        part: inside the area of the job; None: all of it.
    """

    picture: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    values: NDArray[np.uint8]
    ground: Ground
    factor: float | None
    part: Part | None

    def layers(self, targets: Sequence[str]) -> Layers:
        """Probabilities under the names of the targets."""
        return Layers.of(self.values, targets)


def predict_picture(source: Source, predictor: Predictor, job: Job, outputs: Outputs) -> Finished:
    """Predict a picture and write all its files; outlines are in pixels, unless its name is that of a slippy tile.

    Raises:
        DataError: the picture cannot be read.
        SourceError: it lacks a band, has no place for `crs=` or an area, lies outside the area, or would be scaled
            beyond the memory limit.
    """
    predicted = read_and_predict(source, predictor, job)
    layers, part, ground = predicted.layers(outputs.targets), predicted.part, predicted.ground
    picture, valid, values = as_rgb(predicted.picture), predicted.valid, predicted.values
    size = picture.shape[0], picture.shape[1]
    mask = at_least(values[: layers.categories], outputs.threshold).max(axis=0)
    roofs = outputs.find_roofs(layers, source.stem, ground, part.inside if part else None)
    if part:
        inside = part.inside.mask(Window(0, 0, size[1], size[0]))
        valid, mask = valid & inside, mask * inside
    write_mask(outputs.path("masks.png", source.stem), mask)
    write_png(outputs.path("overlays.png", source.stem), overlay(picture, mask))
    write_outlines(Outlines(source.stem, size, picture, ground, roofs), outputs)
    pixels = int(mask.sum()), int(valid.sum())
    row = summary_row(source, size, ground=ground, pixels=pixels, roofs=roofs)
    row |= {"reference_system": ground.georeference.name} if ground.georeference else {}
    return Finished(row | {"scaled_by": scaled_by(predicted.factor)}, roofs, picture, mask, ground, size)


def read_and_predict(source: Source, predictor: Predictor, job: Job) -> Predicted:
    """Read a picture and predict it; raises as `predict_picture`."""
    path = Path(source.path)
    picture, valid = _read(path, predictor, job)
    place = tile_georeference(path, picture.shape[0], picture.shape[1])
    return predict_pixels(picture, valid, predictor, job, name=source.path, place=place)


def predict_pixels(
    picture: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    predictor: Predictor,
    job: Job,
    *,
    name: str,
    place: Georeference | None = None,
) -> Predicted:
    """Predict a picture in memory.

    Args:
        picture: uint8 (H, W, C), in the bands of the run.
        valid: bool (H, W), the pixels with data.
        predictor: the network.
        job: settings as typed.
        name: of the picture, for messages.
        place: on the map, if known.

    Raises:
        SourceError: it has no place for `crs=` or an area, lies outside the area, or would be scaled beyond the memory
            limit.
    """
    if job.crs and not place:
        raise SourceError(
            f"{name}: crs={job.crs} cannot place it: it has no corners on a map; leave crs out, and find roofs in "
            "pixels."
        )
    size = picture.shape[0], picture.shape[1]
    part = job.area.part_of(name, place, size) if job.area else None
    ground = Ground(place, place.metres_per_pixel(*size) if place else job.gsd)
    probability, factor = probability_of(picture, predictor, job, name=name, gsd=job.gsd or ground.gsd)
    seen = valid & part.seen.mask(Window(0, 0, size[1], size[0])) if part else valid
    return Predicted(picture, valid, stored(probability, seen), ground, factor, part)


def probability_of(
    picture: NDArray[np.uint8], predictor: Predictor, job: Job, *, name: str, gsd: float | None
) -> tuple[NDArray[np.float32], float | None]:
    """Return the probability of a picture, float32 (T K, H, W) in [0, 1], and the scale of the network's input.

    Args:
        picture: uint8 (H, W, C), in the bands of the run.
        predictor: the network.
        job: settings as typed.
        name: of the picture, for messages.
        gsd: metres per pixel; None: unknown.

    Raises:
        SourceError: it would be scaled beyond the memory limit.
    """
    card = predictor.run.card
    factor = scale_factor(gsd, card) if job.rescale else None
    _require_bounded(picture.shape, factor, name, card=card, gsd=gsd)
    return _forward(predictor, job, factor)(picture[None])[0], factor


def _forward(predictor: Predictor, job: Job, factor: float | None) -> Forward:
    """Predict in one pass what the device has memory for, and larger pictures by windows as in a scene."""
    device, views = predictor.device.type, job.views_of(scene=False)
    forward = with_views(predictor.forward, factor=factor, views=views)
    if predictor.preparation.size:
        return forward  # of any picture the network sees as many pixels
    tiling = fit_windows(job.tiling(device), None, factor, views)
    whole = round(job.largest_pass(device) / ((factor or 1) * magnified(views)) ** 2)
    return windowed(forward, window=tiling.window, overlap=tiling.overlap, whole=whole)


def log_places(sources: Sequence[Source], card: Card, job: Job) -> None:
    """Log how many pictures have the names of tiles, and the resolution assumed for the others, if any."""
    pictures = [source for source in sources if not source.scene]
    tiles = sum(tile_of(Path(source.path)) is not None for source in pictures)
    if tiles:
        log.info("%d pictures have the names of slippy tiles, which give their place on the map (EPSG:3857)", tiles)
    if len(pictures) > tiles and job.gsd is None and job.rescale and card.gsd:
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


def _require_bounded(shape: tuple[int, ...], factor: float | None, name: str, *, card: Card, gsd: float | None) -> None:
    height, width = (round(side * (factor or 1)) for side in shape[:2])
    if height * width > MAX_PIXELS:
        raise SourceError(
            f"{name}: gsd={gsd} would scale it to {width} x {height} px for a run trained at {card.gsd} m; "
            "set gsd to the metres of one of its pixels, or rescale=false."
        )
