"""A scene from open raster to finished files."""

import hashlib
import json
import logging
import resource
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.inference.answers import asked
from rooftop.inference.canvas import Canvas
from rooftop.inference.job import Done, Job
from rooftop.inference.predictor import Predictor
from rooftop.inference.progress import pixel_bar
from rooftop.inference.scene import Forward, Tiling, predict_scene
from rooftop.inference.sources import Source
from rooftop.inference.vectors import drawn, write_outlines
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import find_roofs
from rooftop.polygons.spool import Spool
from rooftop.raster.cog import Sheet, write_raster
from rooftop.raster.geotiff import Scene, open_scene
from rooftop.raster.picture import write_png
from rooftop.raster.steps import NODATA, STEP, at_least
from rooftop.raster.windows import Window

log = logging.getLogger(__name__)
_PREVIEW = 3000  # pixels, longest side of the pictures under overlay and map
_ALIKE = 0.1  # share by which ground sampling distances may differ without a word


def predict_one_scene(predictor: Predictor, source: Source, job: Job) -> Done:
    """Write every file of one scene; a stopped prediction of the same task goes on where it stopped.

    Raises:
        SourceError: the raster cannot be read.
    """
    with open_scene(source.path, bands=job.bands) as scene:
        ground = Ground(scene.georeference, job.gsd or _gsd(scene))
        job = _fitting(predictor, ground, job)
        key = _key(source, predictor, job)
        waiting = job.unfinished / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        canvas = Canvas(waiting, (len(job.categories), scene.height, scene.width), key)
        forward = asked(predictor.forward, factor=job.factor(predictor.run.card.gsd), views=job.views)
        speed = _predict(scene, forward, canvas, name=source.stem, job=job)
        done = _write(scene, canvas, source, ground=ground, job=job)
    canvas.remove()
    done.row.update({"megapixels_per_second": speed, "peak_memory_mb": _peak()})
    return done


def _predict(scene: Scene, forward: Forward, canvas: Canvas, *, name: str, job: Job) -> float:
    """Fill the canvas; millions of pixels a second."""
    start = time.monotonic()
    with pixel_bar(name, scene.height * scene.width) as progress:
        pixels = predict_scene(scene, forward, canvas, tiling=job.tiling, progress=progress)
    return round(pixels / 1e6 / max(time.monotonic() - start, 1e-9), 3)


def _write(scene: Scene, canvas: Canvas, source: Source, *, ground: Ground, job: Job) -> Done:
    size = scene.height, scene.width
    found = find_roofs(canvas.read, canvas.shape, threshold=job.threshold, shaping=job.shaping, ground=ground)
    roofs = Spool(job.folder / ".roofs" / f"{source.stem}.jsonl", found)
    picture, _ = scene.preview(_PREVIEW)
    mask = drawn(roofs, picture.shape[1] / scene.width, picture.shape[:2])
    write_png(job.path("overlays.png", source.stem), overlay(picture, mask))
    write_outlines(job, source.stem, roofs, scene=(*size, ground, picture))
    pixels = _write_rasters(scene, canvas, source, job=job)
    return Done(_row(source, scene, ground=ground, pixels=pixels, roofs=roofs), roofs, picture, mask)


def _write_rasters(scene: Scene, canvas: Canvas, source: Source, *, job: Job) -> tuple[int, int]:
    """Mask and probability; the number of pixels that are roof and of those that have data."""
    count = [0, 0]

    def mask(window: Window) -> NDArray[np.uint8]:
        values = canvas.read(window)
        roof = at_least(values, job.threshold).max(axis=0, keepdims=True)
        count[0] += int(np.count_nonzero(roof))
        count[1] += int(np.count_nonzero(values[0] != NODATA))
        white: NDArray[np.uint8] = roof * np.uint8(255)
        return white

    size = scene.height, scene.width
    write_raster(job.path("masks.png", source.stem), Sheet(*size, None, ("mask",)), mask)
    if job.probability:
        sheet = Sheet(*size, scene.georeference, job.categories, nodata=NODATA, scale=STEP)
        write_raster(job.path("probability.tif", source.stem), sheet, canvas.read)
    return count[0], count[1]


def _row(source: Source, scene: Scene, *, ground: Ground, pixels: tuple[int, int], roofs: Spool) -> dict[str, Any]:
    place = scene.georeference
    return {
        "picture": source.path,
        "height": scene.height,
        "width": scene.width,
        "reference_system": place.name if place else None,
        "metres_per_pixel": ground.gsd,
        "roofs": len(roofs),
        f"roof_{ground.unit}2": round(sum(roof.area for roof in roofs), 1),
        "roof_pixels": pixels[0],
        "valid_pixels": pixels[1],
        "roof_share": pixels[0] / max(pixels[1], 1),
    }


def _fitting(predictor: Predictor, ground: Ground, job: Job) -> Job:
    """The job as the run allows it; says what a person should know of it."""
    learned, size = predictor.run.card.gsd, predictor.preparation.size
    if learned and ground.gsd and not job.gsd and abs(ground.gsd / learned - 1) > _ALIKE:
        factor = max(ground.gsd / learned, learned / ground.gsd)
        log.warning(
            "the scene has %.2f m a pixel, the run learned at %.2f m: roofs look %.1f times %s; gsd=%.3g scales it",
            *(ground.gsd, learned, factor, "smaller" if ground.gsd > learned else "larger", ground.gsd),
        )
    if size is None:
        return job
    log.warning("the run resizes what it sees to %d x %d px: windows get that size", *size)
    return replace(job, tiling=Tiling(min(size), min(job.tiling.overlap, min(size) // 2), job.tiling.batch))


def _gsd(scene: Scene) -> float | None:
    return scene.georeference.metres_per_pixel(scene.height, scene.width) if scene.georeference else None


def _key(source: Source, predictor: Predictor, job: Job) -> dict[str, Any]:
    """Whatever determines the probabilities, so that nothing else is gone on with."""
    path, weights = Path(source.path), predictor.run.folder / "model.safetensors"
    state = [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else None
    return {
        "source": str(path.absolute()) if path.exists() else source.path,
        "state": state,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "torch": predictor.own,
        "tiling": asdict(job.tiling),
        "views": job.views,
        "gsd": job.gsd,
        "bands": job.bands and list(job.bands),
    }


def _peak() -> int:
    """Largest memory that this process ever had, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))
