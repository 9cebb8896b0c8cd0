"""The plan of one scene: windows, scale, views, ground and cache key, decided once, before any pixel is read."""

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rooftop.errors import SourceError
from rooftop.inference.area import Part
from rooftop.inference.job import Job
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Tiling
from rooftop.inference.views import Scale, magnified, scale_factor
from rooftop.polygons.ground import Ground
from rooftop.raster.scene import Scene, files_of
from rooftop.run import Card


class Message(NamedTuple):
    """A line for the log: a level of `logging`, and the text."""

    level: int
    text: str


@dataclass(frozen=True)
class ScenePlan:
    """All decisions about one scene.

    Attributes:
        tiling: windows in pixels of the scene.
        views: test-time augmentation, one of `CHOICES`; None: one view.
        factor: scale from the scene to the metres per pixel of the training; None: not scaled.
        scale: scale of the network's input; a pair for (height, width) if pixels are not square on the ground.
        ground: size of a pixel on the ground, for lengths and areas.
        key: cache key: everything the probabilities depend on; plain JSON.
        messages: for a person, before the work starts.
    """

    tiling: Tiling
    views: str | None
    factor: float | None
    scale: Scale | None
    ground: Ground
    key: dict[str, Any]
    messages: tuple[Message, ...]


def plan_scene(scene: Scene, predictor: Predictor, job: Job, part: Part | None = None) -> ScenePlan:
    """Plan the prediction of an open scene. Writes nothing, logs nothing, reads no pixel.

    Args:
        scene: open raster.
        predictor: gives the run's card, preparation, engine and device.
        job: settings as typed.
        part: the part of the raster that the scene is; None: all of it.

    Raises:
        SourceError: the scene's place on the map is not on the earth, or its pixels are too large for the run.
    """
    card, size = predictor.run.card, predictor.preparation.size
    gsd = job.gsd or scene.gsd  # gsd= wins for the scale; a file with a place on the map wins for lengths and areas
    difference = scale_factor(gsd, card)
    factor = difference if job.rescale else None
    usual = job.tiling(predictor.device.type)
    if gsd and factor and round(usual.window / factor) < 1:
        raise SourceError(
            f"{scene.path}: pixels of {gsd:,.0f} m are too large for a run trained at {card.gsd:.2f} m; correct its "
            "place on the map, or set gsd=METRES."
        )
    views = job.views_of(scene=True)
    sides = _oblong_sides(scene)
    squared = job.rescale and size is None  # a run with a size of its own resizes each window anyway
    scale: Scale | None = _squares(sides, factor) if sides and squared else factor
    tiling = fit_windows(usual, size, factor, views)
    messages = [*_of_placement(scene, job), *([_of_sides(scene, sides, squared=squared)] if sides else [])]
    messages += [_of_size(size, tiling)] if size else _of_scale(scene, gsd, difference, card=card, job=job)
    return ScenePlan(
        tiling=tiling,
        views=views,
        factor=factor,
        scale=scale,
        ground=Ground(scene.georeference, scene.gsd if scene.georeference else gsd),
        key=_cache_key(scene, predictor, tiling, views, scale)
        | {"bands": job.bands and list(job.bands)}
        | ({"part": part.key()} if part else {}),
        messages=tuple(messages),
    )


def fit_windows(tiling: Tiling, size: tuple[int, int] | None, factor: float | None, views: str | None) -> Tiling:
    """Convert windows as the network sees them to pixels of the scene.

    A run with a fixed input size gets windows of its shorter side. Any other run gets windows of the same ground as in
    training, and smaller ones if a view magnifies them: memory grows with the largest view.
    """
    if size is not None:
        return Tiling(min(size), min(tiling.overlap, min(size) // 2), tiling.batch)
    return (tiling.scaled(1 / factor) if factor else tiling).narrowed(magnified(views))


def _oblong_sides(scene: Scene) -> tuple[float, float] | None:
    """Width and height of a pixel on the ground in metres; None: square, nearly square or unknown."""
    georeference, size = scene.georeference, (scene.height, scene.width)
    if georeference is None or scene.gsd is None or not georeference.is_oblong(*size):
        return None
    return georeference.pixel_sides(*size)


def _squares(sides: tuple[float, float], factor: float | None) -> tuple[float, float]:
    """Scale of (height, width) for pixels of the same area, but square on the ground."""
    wide, high = sides
    root = math.sqrt(high / wide)
    return (factor or 1) * root, (factor or 1) / root


def _of_sides(scene: Scene, sides: tuple[float, float], *, squared: bool) -> Message:
    """Report pixels far from square. Outlines are measured correctly in any case; only the network's input suffers."""
    wide, high = sides
    pixels = f"{scene.path}: pixels are {wide:.2f} x {high:.2f} m"
    if squared:
        return Message(logging.INFO, f"{pixels}; scaled to squares for the network")
    system = scene.georeference.utm(scene.height, scene.width) if scene.georeference else ""
    return Message(
        logging.WARNING,
        f"{pixels}, so roofs look squeezed to the network; reproject first: "
        f"gdalwarp -t_srs {system} -r cubic IN.tif OUT.tif",
    )


def _of_placement(scene: Scene, job: Job) -> list[Message]:
    """Warn of a place on the map known in part, with the size of a pixel taken from it."""
    found = scene.placement
    if not found.warning:
        return []
    if found.georeference:
        return [Message(logging.WARNING, f"{scene.path}: {found.warning}")]
    size = f" of {found.gsd:.2f} m, as its corners tell" if found.gsd and job.gsd is None else ""
    return [Message(logging.WARNING, f"{scene.path}: roofs come in pixels{size}: it {found.warning}")]


def _of_size(size: tuple[int, int], tiling: Tiling) -> Message:
    return Message(
        logging.WARNING,
        f"the run was trained on pictures resized to {size[0]} x {size[1]} px; windows of {tiling.window} px of the "
        "scene are resized likewise: roofs have the right scale only if the training pictures had that size",
    )


def _of_scale(scene: Scene, gsd: float | None, difference: float | None, *, card: Card, job: Job) -> list[Message]:
    """Compare the resolution of the scene with the training.

    Args:
        scene: open raster.
        gsd: metres per pixel of the scene; None: unknown.
        difference: gsd over the training's; None: equal within a tenth, or unknown.
        card: of the run.
        job: settings as typed.
    """
    if gsd is None and card.gsd and job.rescale:
        return [
            Message(
                logging.INFO,
                f"{scene.path}: no place on the map; {card.gsd:.2f} m a pixel assumed, as in training; "
                "gsd=METRES changes it",
            )
        ]
    if gsd is None or difference is None or card.gsd is None:
        return []
    known = f"the scene has {gsd:.2f} m a pixel, the run was trained at {card.gsd:.2f} m: "
    if job.rescale:
        return [Message(logging.INFO, f"{known}scaled by {difference:.2f}; rescale=false turns it off")]
    if card.gsd_range is None or not card.gsd_range[0] <= gsd <= card.gsd_range[1]:
        times, look = (difference, "smaller") if difference > 1 else (1 / difference, "larger")
        return [Message(logging.WARNING, f"{known}roofs look {times:.1f} times {look}")]
    return []


def _cache_key(
    scene: Scene, predictor: Predictor, tiling: Tiling, views: str | None, scale: Scale | None
) -> dict[str, Any]:
    """Everything the probabilities depend on, except the bands.

    Files count by name, size and time; an address counts by its name, size in pixels and place on the map.
    """
    path = Path(scene.path)
    # .aux.xml is left out: QGIS writes it as soon as it opens a raster
    files = [(file, file.stat()) for file in files_of(scene.path) if file.suffix != ".xml"]
    georeference = scene.georeference
    return {
        "source": str(path.absolute()) if path.exists() else scene.path,
        "files": [[str(file.absolute()), state.st_size, state.st_mtime_ns] for file, state in files],
        "size": [scene.height, scene.width],
        "georeference": georeference and [*georeference.affine[:6], georeference.crs],
        "weights": predictor.weights_hash,
        "engine": [predictor.engine, predictor.device.type],
        "preparation": predictor.preparation.plain(),
        "tiling": asdict(tiling),
        "views": views,
        "scale": list(scale) if isinstance(scale, tuple) else scale,
    }
