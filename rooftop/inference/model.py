"""A run folder as a Python object: `rooftop.load().predict("city.tif")`.

Nothing is decided here: the settings are those of `conf/predict.yaml`, and the functions are those of `predict.py`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from rooftop.config import settings_of
from rooftop.errors import ConfigError, DataError, SourceError
from rooftop.inference.distributed import Processes
from rooftop.inference.engines import open_predictor
from rooftop.inference.job import Job
from rooftop.inference.outputs import Outputs
from rooftop.inference.pictures import Predicted, log_places, predict_pixels, probability_of, read_and_predict
from rooftop.inference.scenes import FilledScene, filled_scene
from rooftop.inference.sources import find_sources
from rooftop.inference.unfinished import Unfinished, require_writable
from rooftop.polygons.geodataframe import geodataframe, has_geopandas
from rooftop.polygons.geojson import features
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof
from rooftop.raster.bands import Stretch
from rooftop.run import Card, load

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from typing_extensions import Unpack

Picture = NDArray[Any]
_ARRAY = "picture"  # name of an array, for messages


class Views(TypedDict, total=False):
    """What decides the probability of a picture; default and meaning of each: `conf/predict.yaml`.

    Attributes:
        gsd: metres per pixel.
        rescale: scale the input to the metres per pixel of the training.
        tta: test-time augmentation.
        window: side of the windows of a large picture, in pixels as the network sees them.
        overlap: of neighbouring windows in pixels.
        batch: windows predicted together.
    """

    gsd: float | None
    rescale: bool
    tta: str | None
    window: int | None
    overlap: int
    batch: int | None


class Settings(Views, total=False):
    """What decides the roofs of a source; default and meaning of each: `conf/predict.yaml`.

    Attributes:
        threshold: lowest probability of a roof pixel.
        polygons: a file of `conf/polygons/` ("simple"), or single keys of it ({"min_area": 10}).
        crs: reference system of a source without one.
        aoi: polygons in a file; only roofs inside them.
        bbox: west, south, east, north in degrees; as aoi.
        bands: 1-based band numbers to read.
        unfinished: folder in which a scene that is interrupted resumes; without it, it starts anew.
    """

    threshold: float | None
    polygons: str | Mapping[str, Any]
    crs: str | None
    aoi: str | Path | None
    bbox: Sequence[float] | None
    bands: Sequence[int] | None
    unfinished: str | Path


class Model:
    """A trained network, ready to predict; `rooftop.load` makes it.

    Args:
        run: run folder; None: the included weights.
        device: auto, cpu, cuda, cuda:1, mps ...
        engine: torch, or on a CPU onnxruntime or int8 (eight bits).

    Attributes:
        card: what the run knows of itself: threshold, categories, metres per pixel, scores.

    Raises:
        RunError: no such run, or a damaged one.
        ConfigError: there is no such device, or the engine is unknown, not installed or not for the device.
    """

    def __init__(self, run: str | Path | None = None, *, device: str = "auto", engine: str = "torch") -> None:
        named = {} if run is None else {"run": run}
        folder = settings_of("predict", {"source": _ARRAY, **named})["run"]
        self._predictor = open_predictor(load(folder), device=device, engine=engine)

    def __repr__(self) -> str:
        return f"<rooftop.Model {self._predictor.run.folder} on {self._predictor.device}>"

    @property
    def card(self) -> Card:
        """The card of the run."""
        return self._predictor.run.card

    def predict(
        self, source: str | Path | Picture, *, progress: bool = True, **settings: "Unpack[Settings]"
    ) -> "GeoDataFrame | list[dict[str, Any]]":
        """Find the roofs of one picture or scene: those of `roofs.gpkg`, which `predict.py` writes.

        Args:
            source: a file, the address of a raster, or a picture in memory as for `probability`.
            progress: show a progress bar over the windows of a scene.
            settings: keys of `conf/predict.yaml`, see `Settings`.

        Returns:
            GeoDataFrame in the reference system of the source; in pixels (x right, y down) without one. If geopandas is
            not installed, `features`.

        Raises:
            SourceError, DataError: no such file, several, or unreadable.
            ConfigError: unknown key or wrong value.
        """
        roofs, ground = self._find(source, settings, progress=progress)
        make = geodataframe if has_geopandas() else _feature_list
        return make(roofs, ground=ground, categories=self.card.categories)

    def features(
        self, source: str | Path | Picture, *, progress: bool = True, **settings: "Unpack[Settings]"
    ) -> list[dict[str, Any]]:
        """Find the roofs of one picture or scene as GeoJSON features: those of `roofs.geojson`; else as `predict`.

        Returns:
            Features in degrees (WGS 84), or in pixels for a source without a place on the map.
        """
        roofs, ground = self._find(source, settings, progress=progress)
        return _feature_list(roofs, ground=ground, categories=self.card.categories)

    def probability(self, picture: Picture, **settings: "Unpack[Views]") -> NDArray[np.float32]:
        """Predict a picture in memory.

        Args:
            picture: uint8 (H, W, 3) in RGB or (H, W) in grey. For a run trained on chosen bands: (H, W, C) with the
                values of those bands as in the file.
            settings: `gsd=0.3` and others, see `Views`.

        Returns:
            float32 (H, W) in [0, 1]; (C, H, W) for a run with several categories.

        Raises:
            DataError: another shape or number type.
            ConfigError: unknown key or wrong value.
        """
        job = _job(settings, Views, Path(_ARRAY))
        pixels, _ = self._pixels(picture)
        found, _ = probability_of(pixels, self._predictor, job, name=_ARRAY, gsd=job.gsd)
        of_roofs = found[: len(self.card.categories)]
        return of_roofs[0] if len(of_roofs) == 1 else of_roofs

    def _find(
        self, source: str | Path | Picture, settings: Mapping[str, Any], *, progress: bool
    ) -> tuple[list[Roof], Ground]:
        with tempfile.TemporaryDirectory(prefix="rooftop-") as folder:
            job = _job(settings, Settings, Path(folder))
            outputs = Outputs.of(job, self._predictor.run, Path(folder), single=True)
            if isinstance(source, np.ndarray):
                return _roofs(predict_pixels(*self._pixels(source), self._predictor, job, name=_ARRAY), outputs)
            found = find_sources(str(source))
            if len(found) > 1:
                raise SourceError(f"{source} are {len(found)} pictures; predict each of them in a loop.")
            if not found[0].scene:
                log_places(found, self.card, job)
                return _roofs(read_and_predict(found[0], self._predictor, job), outputs)
            require_writable(job.unfinished)
            unfinished = Unfinished(job.unfinished, Processes(device=str(self._predictor.device), shows=progress))
            with filled_scene(found[0], self._predictor, job, unfinished) as scene:
                result = _roofs(scene, outputs)
                unfinished.keep(scene.canvas)
            unfinished.remove_kept()
            return result

    def _pixels(self, picture: Picture) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Check a picture in memory, and bring it to 0-255 as a file: uint8 (H, W, C), and valid, bool (H, W)."""
        preparation, shape = self._predictor.preparation, picture.shape
        channels = len(preparation.mean)
        grey = picture.ndim == 2 and channels == 3 and not preparation.bands
        pixels = np.repeat(picture[..., None], 3, axis=-1) if grey else picture
        if pixels.ndim != 3 or pixels.shape[-1] != channels or not pixels.size:
            raise DataError(f"{_ARRAY}: expected shape (height, width, {channels}), got {shape}.")
        if preparation.scale:
            values, valid = Stretch.of(preparation.scale)(np.moveaxis(pixels, -1, 0))
            return np.ascontiguousarray(np.moveaxis(values, 0, -1)), valid
        if pixels.dtype != np.uint8:
            raise DataError(f"{_ARRAY}: expected uint8 from 0 to 255, got {pixels.dtype}.")
        return pixels, np.ones(shape[:2], bool)


def _roofs(found: Predicted | FilledScene, outputs: Outputs) -> tuple[list[Roof], Ground]:
    inside = found.part.inside if found.part else None
    return [*outputs.roofs(found.layers(outputs.targets), found.ground, inside)], found.ground


def _feature_list(roofs: Sequence[Roof], *, ground: Ground, categories: Sequence[str]) -> list[dict[str, Any]]:
    return [*features(roofs, ground, categories)]


def _job(given: Mapping[str, Any], known: type, folder: Path) -> Job:
    """Check settings as if they were typed.

    Raises:
        ConfigError: unknown key or wrong value.
    """
    names = known.__annotations__
    if wrong := [name for name in given if name not in names]:
        raise ConfigError(f"{wrong[0]} is no setting of this call; settings are {', '.join(names)}.")
    own = {"unfinished": folder / "unfinished"}
    return Job.of(settings_of("predict", {"source": _ARRAY, **own, **given}), folder)
