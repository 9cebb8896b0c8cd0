"""A scene from file to finished files: open, plan, canvas, fill, write.

A scene is predicted window by window at constant memory. Its probabilities go to a canvas on disk: an interrupted
prediction resumes, and several processes share the work.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from rooftop.errors import SourceError
from rooftop.inference.area import Part
from rooftop.inference.job import Job
from rooftop.inference.outputs import (
    Finished,
    Outlines,
    Outputs,
    check_first_row,
    drawn,
    part_row,
    scaled_by,
    summary_row,
    write_outlines,
)
from rooftop.inference.predictor import Predictor
from rooftop.inference.scene_plan import ScenePlan, plan_scene
from rooftop.inference.sliding_window import predict_windows
from rooftop.inference.sources import Source
from rooftop.inference.unfinished import Canvas, Unfinished
from rooftop.inference.views import with_views
from rooftop.memory import peak_memory
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers
from rooftop.raster.bands import Stretch, as_rgb
from rooftop.raster.picture import write_png
from rooftop.raster.probability import NODATA, STEP, at_least
from rooftop.raster.scene import ALL_CORES, Scene, open_bands, open_scene
from rooftop.raster.windows import Window
from rooftop.raster.write import Sheet, write_raster

log = logging.getLogger(__name__)
_CUT_OFF = 0.5  # share of a channel's values at 0 or 255: a warning above it
_PREVIEW = 3000  # pixels, longest side of the picture in the overlay and on the map


@dataclass(frozen=True)
class FilledScene:
    """A scene with all its probabilities on disk.

    Attributes:
        source: name and path.
        scene: open raster.
        part: the part of the raster that the scene is, in the frame of its window; None: all of it.
        plan: decisions about it.
        canvas: probabilities of all channels.
        speed: millions of pixels a second, of all processes together.
    """

    source: Source
    scene: Scene
    part: Part | None
    plan: ScenePlan
    canvas: Canvas
    speed: float

    @property
    def ground(self) -> Ground:
        """Size of a pixel on the ground, and its place on the map."""
        return self.plan.ground

    def layers(self, targets: Sequence[str]) -> Layers:
        """Probabilities by window, under the names of the targets."""
        return Layers(self.canvas.read, self.canvas.shape, targets)


def predict_scene(source: Source, predictor: Predictor, job: Job, outputs: Outputs, unfinished: Unfinished) -> Finished:
    """Predict a scene and write all its files.

    Raises:
        SourceError: the raster cannot be read.
    """
    with filled_scene(source, predictor, job, unfinished) as filled:
        finished = write_scene(filled, outputs)
        unfinished.keep(filled.canvas)
    return finished


@contextmanager
def filled_scene(source: Source, predictor: Predictor, job: Job, unfinished: Unfinished) -> Iterator[FilledScene]:
    """Open a scene, plan it and fill its canvas; the processes of `unfinished` share the rows of windows.

    An interrupted prediction resumes with any number of processes. The scene stays open, and its canvas locked, until
    the block ends; the canvas stays on disk.

    Raises:
        SourceError: one of the processes cannot read the raster, or its place on the map is not on the earth.
    """
    processes = unfinished.processes
    with ExitStack() as stack:
        scene, part = processes.agree(lambda: _part(stack.enter_context(_open(source, predictor, job)), job))
        plan = plan_scene(scene, predictor, job, part)
        if processes.first:
            for message in plan.messages:
                log.log(message.level, "%s", message.text)

        shape = (predictor.out_channels, scene.height, scene.width)
        canvas = stack.enter_context(unfinished.canvas(plan.key, shape, plan.tiling.ends(scene.height)))

        forward = with_views(predictor.forward, factor=plan.scale, views=plan.views)
        pixels, resumed, start = scene.height * scene.width, processes.broadcast(canvas.finished()), time.monotonic()
        with _pixel_bar(source.stem, pixels, shown=processes.shows) as show:

            def progress(done: int) -> None:
                show(done)
                processes.watch()

            processes.agree(lambda: predict_windows(scene, forward, canvas, tiling=plan.tiling, progress=progress))
            show(pixels)
        seconds = max(time.monotonic() - start, 1e-9)
        yield FilledScene(source, scene, part, plan, canvas, speed=round((pixels - resumed) / 1e6 / seconds, 3))


def write_scene(filled: FilledScene, outputs: Outputs) -> Finished:
    """Write all files of a filled scene, in one process."""
    source, scene, part, plan = filled.source, filled.scene, filled.part, filled.plan
    size = scene.height, scene.width
    layers = filled.layers(outputs.targets)
    roofs = outputs.find_roofs(layers, source.stem, plan.ground, part.inside if part else None)
    preview, valid = scene.preview(_PREVIEW)
    _warn_of_cut_off(source, preview[valid])
    picture = as_rgb(preview)
    mask = drawn(roofs, size, picture.shape[:2])
    write_png(outputs.path("overlays.png", source.stem), overlay(picture, mask))
    inside = _inside(layers, part)
    found = outputs.candidates(inside, plan.ground, part.inside if part else None)
    squares = outputs.squares(found, plan.ground)
    write_outlines(Outlines(source.stem, size, picture, plan.ground, roofs, squares), outputs)
    pixels = _write_rasters(scene, inside, source.stem, outputs)
    row = summary_row(source, part.size if part else size, ground=plan.ground, pixels=pixels, roofs=roofs)
    georeference = scene.georeference
    row |= part_row(part)
    row |= {"reference_system": georeference.name if georeference else None, "scaled_by": scaled_by(plan.factor)}
    row |= {"megapixels_per_second": filled.speed, "peak_memory_mb": round(peak_memory() / 1e6)}
    row |= check_first_row(squares)
    return Finished(row, roofs, picture, mask, plan.ground, size, found)


def _open(source: Source, predictor: Predictor, job: Job) -> AbstractContextManager[Scene]:
    """Open the bands on the run's card, or red, green and blue."""
    preparation = predictor.preparation_of(job.bands)
    if preparation.bands and preparation.scale:
        return open_bands(source.path, preparation.bands, Stretch.of(preparation.scale), cores=ALL_CORES, crs=job.crs)
    return open_scene(source.path, bands=job.bands, cores=ALL_CORES, crs=job.crs)


def _part(scene: Scene, job: Job) -> tuple[Scene, Part | None]:
    """The part of a scene inside the area of a job."""
    if job.area is None:
        if scene.is_service:
            raise SourceError(
                f"{scene.path}: a web layer shows the whole world; say which part: aoi=FILE or "
                "bbox=[west,south,east,north]."
            )
        return scene, None
    part = job.area.part_of(scene.path, scene.georeference, (scene.height, scene.width))
    framed = part.framed()
    return scene.part(part.window, framed.seen.mask), framed


def _inside(layers: Layers, part: Part | None) -> Layers:
    """Layers without data outside the area."""
    if part is None:
        return layers
    mask = part.inside.mask
    return replace(layers, read=lambda window: np.where(mask(window), layers.read(window), NODATA))


def _warn_of_cut_off(source: Source, pixels: NDArray[np.uint8]) -> None:
    """Warn of values beyond the scale of the training pictures; pixels: uint8 (N, C)."""
    cut_off = np.isin(pixels, (0, 255)).mean(axis=0) if len(pixels) else np.zeros(1)
    if cut_off.max() > _CUT_OFF:
        log.warning(
            "%s: %.0f %% of the values of channel %d are cut off at 0 or 255; check the units against the training "
            "pictures, and the band numbers (bands=)",
            *(source.path, 100 * cut_off.max(), cut_off.argmax() + 1),
        )


def _write_rasters(scene: Scene, layers: Layers, stem: str, outputs: Outputs) -> tuple[int, int]:
    """Write mask and probability; returns the number of roof pixels and of pixels with data."""
    count = [0, 0]

    def probability(window: Window) -> NDArray[np.uint8]:
        return layers.read(window)[: layers.categories]

    def mask(window: Window) -> NDArray[np.uint8]:
        values = probability(window)
        roof = at_least(values, outputs.threshold).max(axis=0, keepdims=True)
        count[0] += int(np.count_nonzero(roof))
        count[1] += int(np.count_nonzero(values[0] != NODATA))
        white: NDArray[np.uint8] = roof * np.uint8(255)
        return white

    size = scene.height, scene.width
    write_raster(outputs.path("masks.png", stem), Sheet(*size, None, ("mask",)), mask)
    if outputs.probability:
        sheet = Sheet(*size, scene.georeference, outputs.categories, nodata=NODATA, scale=STEP)
        write_raster(outputs.path("probability.tif", stem), sheet, probability)
    return count[0], count[1]


class _Rate(ProgressColumn):
    """Millions of pixels a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed / 1e6:.2f} Mpx/s")


@contextmanager
def _pixel_bar(name: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar over `total` pixels; yields a function that takes the number of finished pixels."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(name, total=total)
        yield lambda pixels: progress.update(task, completed=pixels)
