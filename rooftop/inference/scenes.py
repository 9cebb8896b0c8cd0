"""A scene from open raster to probabilities on disk, and on to finished files."""

import hashlib
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from rooftop.errors import SourceError
from rooftop.inference.distributed import Processes
from rooftop.inference.job import Finished, Job
from rooftop.inference.outputs import drawn, scaled_by, summary_row, write_outlines
from rooftop.inference.predictor import Predictor
from rooftop.inference.sliding_window import Forward, Tiling, predict_windows
from rooftop.inference.sources import Source
from rooftop.inference.unfinished import Canvas, Kept, locked_folder
from rooftop.inference.views import magnified, scale_factor
from rooftop.plots.panels import overlay
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers, Spool, find_roofs
from rooftop.raster.bands import Stretch, as_rgb
from rooftop.raster.cog import Sheet, write_raster
from rooftop.raster.geotiff import ALL_CORES, files_of, open_bands, open_scene
from rooftop.raster.picture import write_png
from rooftop.raster.scene import Scene
from rooftop.raster.steps import NODATA, STEP, at_least
from rooftop.raster.windows import Window


class _Rate(ProgressColumn):
    """Millions of pixels a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed / 1e6:.2f} Mpx/s")


@contextmanager
def pixel_bar(name: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar; yields what is told how many pixels are done.

    Args:
        name: shown before the bar.
        total: pixels of the scene.
        shown: whether this process is the one that shows it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(name, total=total)
        yield lambda pixels: progress.update(task, completed=pixels)


log = logging.getLogger(__name__)
_CUT_OFF = 0.5  # share of a channel beyond the scale from which on a person is told
_PREVIEW = 3000  # pixels, longest side of the pictures under overlay and map


@dataclass(frozen=True)
class PredictedScene:
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


def write_scene(predicted: PredictedScene) -> Finished:
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
    return Finished(row, roofs, picture, mask)


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


Say = Callable[..., None]


@contextmanager
def predicted(
    predictor: Predictor, source: Source, job: Job, processes: Processes, *, kept: Kept
) -> Iterator[PredictedScene]:
    """Predict a scene, sharing its rows of windows out; in the first process the canvas is nobody else's in the block.

    A stopped prediction of the same task goes on where it stopped, whatever the number of processes then and now: the
    canvas stays until somebody removes it.

    Raises:
        SourceError: the raster cannot be read by one of the processes, or lies nowhere on the earth.
    """
    with ExitStack() as stack:
        scene = processes.agree(lambda: stack.enter_context(_opened(predictor, source, job)))
        ground = Ground(scene.georeference, scene.gsd or job.gsd)
        seen = job.gsd or scene.gsd
        say = log.log if not processes.rank else _silent
        shape = _shape(scene, say, squared=job.rescale and predictor.preparation.size is None)
        job = _fitting(predictor, (scene, seen), job, say=say)
        if predictor.preparation.size is None:  # else each view is brought to that size
            job = replace(job, tiling=job.tiling.narrowed(magnified(job.views)))
        key = _key(source, scene, predictor, job) | {"shape": shape}
        own = None if processes.rank else stack.enter_context(locked_folder(job.unfinished, key))
        canvas = _canvas(scene, processes.broadcast(own), job)
        if own:
            kept.open(canvas)
        canvas.todo = np.array_split(processes.broadcast(canvas.todo), processes.count)[processes.rank].tolist()
        forward = job.asked(predictor, scene=True, gsd=seen, shape=shape)
        speed = _fill(canvas, forward, (scene, source.stem), job=job, processes=processes)
        yield PredictedScene(source, scene, canvas, ground, job, job.factor(predictor, seen), speed)


def predict_one_scene(predictor: Predictor, source: Source, job: Job, processes: Processes, *, kept: Kept) -> Finished:
    """Write every file of one scene, all of it in this process; its probabilities are `kept`.

    Raises:
        SourceError: the raster cannot be read.
    """
    with predicted(predictor, source, job, processes.alone(), kept=kept) as scene:
        done = write_scene(scene)
        kept.add(scene.canvas)
    return done


def _opened(predictor: Predictor, source: Source, job: Job) -> AbstractContextManager[Scene]:
    """The bands that the run looks at, as its card says, or red, green and blue."""
    preparation = predictor.preparation_of(job.bands)
    if preparation.bands and preparation.scale:
        return open_bands(source.path, preparation.bands, Stretch.of(preparation.scale), cores=ALL_CORES)
    return open_scene(source.path, bands=job.bands, cores=ALL_CORES)


def _canvas(scene: Scene, folder: Path | None, job: Job) -> Canvas:
    assert folder is not None  # the first process has one to share
    return Canvas(
        folder, (len(job.targets) * len(job.categories), scene.height, scene.width), job.tiling.ends(scene.height)
    )


def _fill(canvas: Canvas, forward: Forward, about: tuple[Scene, str], *, job: Job, processes: Processes) -> float:
    """Fill this process's part of a canvas, wait for the others; millions of pixels a second."""
    scene, name = about
    start, size, before = time.monotonic(), scene.height * scene.width, processes.broadcast(canvas.finished())
    with pixel_bar(name, size, shown=processes.shows) as show:

        def progress(pixels: int) -> None:
            show(pixels)
            processes.watch()

        processes.agree(lambda: predict_windows(scene, forward, canvas, tiling=job.tiling, progress=progress))
        show(size)
    return round((size - before) / 1e6 / max(time.monotonic() - start, 1e-9), 3)


def _fitting(predictor: Predictor, about: tuple[Scene, float | None], job: Job, *, say: Say) -> Job:
    """The job as the run and a scene of so many metres a pixel allow it; says what a person should know of it."""
    (scene, gsd), card, size = about, predictor.run.card, predictor.preparation.size
    factor = scale_factor(gsd, card)
    if size is not None:
        tiling = Tiling(min(size), min(job.tiling.overlap, min(size) // 2), job.tiling.batch)
        learned = (
            "the run learned from pictures resized to %d x %d px; windows of %d px of the scene are resized so, too: "
        )
        alike = "roofs look as they should if its pictures had that size"
        say(logging.WARNING, learned + alike, *size, tiling.window)
        return replace(job, tiling=tiling)
    if gsd is None and card.gsd and job.rescale:
        unknown = "%s: has no place on the map, and is taken to have the %.2f m a pixel at which the run learned; "
        say(logging.INFO, unknown + "gsd=METRES says otherwise", scene.path, card.gsd)
    if factor is None or gsd is None:
        return job
    if job.rescale and round(job.tiling.window / factor) < 1:
        raise SourceError(
            f"{scene.path}: {gsd:,.0f} m a pixel are too many for a run that learned at {card.gsd:.2f} m; "
            "mend its place on the map, or say gsd=METRES."
        )
    known = "the scene has %.2f m a pixel, the run learned at %.2f m: "
    if job.rescale:
        say(logging.INFO, known + "scaled by %.2f; rescale=false leaves it as it is", gsd, card.gsd, factor)
        return replace(job, tiling=job.tiling.scaled(1 / factor))
    if card.gsd_range is None or not card.gsd_range[0] <= gsd <= card.gsd_range[1]:
        say(logging.WARNING, known + "roofs look %.1f times %s", gsd, card.gsd, *_smaller(factor))
    return job


def _shape(scene: Scene, say: Say, *, squared: bool) -> float:
    """Height over width of the pixels on the ground; 1 where no roof minds, or where the network is not shown squares.

    Tells of pixels that are not square, as in degrees; outlines are measured right in any case.
    """
    place, size = scene.georeference, (scene.height, scene.width)
    if place is None or scene.gsd is None or not place.is_oblong(*size):
        return 1.0
    wide, high = place.pixel_sides(*size)
    sides = "%s: its pixels are %.2f m wide and %.2f m high, "
    if squared:
        say(logging.INFO, sides + "and scaled to squares for the network", scene.path, wide, high)
        return high / wide
    squeezed = (
        sides + "and so squeezed are roofs to the network; better first gdalwarp -t_srs %s -r cubic IN.tif OUT.tif"
    )
    say(logging.WARNING, squeezed, scene.path, wide, high, place.utm(*size))
    return 1.0


def _silent(level: int, message: str, *values: object) -> None:
    """What the other processes of a prediction say."""


def _smaller(factor: float) -> tuple[float, str]:
    return (factor, "smaller") if factor > 1 else (1 / factor, "larger")


def _key(source: Source, scene: Scene, predictor: Predictor, job: Job) -> dict[str, Any]:
    """Whatever determines the probabilities, so that nothing else is gone on with.

    Of what lies behind an address, as far as it can be told without reading all of it.
    """
    path, weights = Path(source.path), predictor.run.folder / "model.safetensors"
    files = [
        file for file in files_of(source.path) if file.suffix != ".xml"
    ]  # .aux.xml: QGIS leaves it where it only looks
    states = [(str(file.absolute()), file.stat()) for file in files]
    return {
        "source": str(path.absolute()) if path.exists() else source.path,
        "state": [[name, state.st_size, state.st_mtime_ns] for name, state in states],
        "size": [scene.height, scene.width],
        "place": scene.georeference and [*scene.georeference.affine[:6], scene.georeference.crs],
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "engine": [predictor.own, predictor.device.type],
        "tiling": asdict(job.tiling),
        "views": job.views,
        "gsd": job.gsd,
        "rescale": job.rescale,
        "bands": job.bands and list(job.bands),
        "preparation": predictor.preparation.plain(),
    }
