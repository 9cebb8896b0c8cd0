"""Every key of the configuration, in one line: type, range, unit and meaning.

`conf/<script>.yaml` is checked against the dataclass of its script. A field is

    batch_size: Annotated[int, at_least(1), "pictures per step and device"]

OmegaConf converts and checks the type, `check_ranges` the range, and `reference` turns all lines into the page of the
manual. Values have no default here: they live in YAML. Groups with `_target_` (model, loss, optimizer, ...) take the
arguments of their class; ranges of some of these arguments stand in `ARGUMENTS`.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from types import UnionType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, OmegaConf

from rooftop.config.paths import CONF
from rooftop.errors import ConfigError

# --- ranges ---


@dataclass(frozen=True)
class Range:
    """The values allowed for a key.

    Attributes:
        words: the range, as the reference prints it.
        fault: returns the fault of a value, or an empty string.
    """

    words: str
    fault: Callable[[Any], str]


def must(words: str, holds: Callable[[Any], bool]) -> Range:
    """Make a range from a test; the error reads `must be <words>`."""
    return Range(words, lambda value: "" if holds(value) else f"must be {words}")


def at_least(least: int) -> Range:
    """Make the range of numbers from `least` upwards."""
    return must(f"{least} or more", lambda value: value >= least)


def between(low: float, high: float) -> Range:
    """Make the range of numbers from `low` to `high`, both included."""
    return must(f"from {low} to {high}", lambda value: low <= value <= high)


def stated(words: str) -> Range:
    """State a range for the reference; the code behind the key checks it, since it needs a file or another key."""
    return Range(words, lambda _: "")


def choice(group: str) -> Range:
    """Describe a group: the name of a file in `conf/<group>/`; Hydra checks it."""
    return stated(f"a file of conf/{group}/")


def _two_above_0(values: Any) -> bool:
    return len(values) == 2 and all(value > 0 for value in values)


def _pattern_fault(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression: {error}"
    return ""


def _score_fault(name: str) -> str:
    if name in SCORES:
        return ""
    return f"is no score; the nearest is {difflib.get_close_matches(name, SCORES, n=1, cutoff=0)[0]}"


_PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
_FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")  # of Pillow
SCORES = tuple(
    f"{stage}/{name}" for stage in ("val", "train") for name in ("iou", "f1", "precision", "recall", "accuracy", "loss")
)
ABOVE_0 = must("above 0", lambda value: value > 0)
INSIDE_0_1 = must("above 0 and below 1", lambda value: 0 < value < 1)
SHARE = must("a share from 0 to 1", lambda share: 0 <= share <= 1)
SIZE = must("height and width in px, two whole numbers of 1 or more", _two_above_0)
GSDS = must("two numbers above 0, the lower one first", lambda gsd: _two_above_0(gsd) and gsd[0] <= gsd[1])
FILTERS = must(f"one or more of {', '.join(_FILTERS)}", lambda names: bool(names) and {*names} <= {*_FILTERS})
CATEGORIES = must("null or name one category or more", lambda names: len(names) > 0)
ABOVE_0_EACH = must("above 0 for each band", lambda values: all(value > 0 for value in values))
PRECISION = must("32-true, or on a GPU bf16-mixed or 16-mixed", lambda kind: str(kind) in _PRECISIONS)
MODE = must("min or max", lambda mode: mode in ("min", "max"))
PATTERN = Range("a regular expression", _pattern_fault)
SCORE = Range("val/NAME or train/NAME: iou, f1, precision, recall, accuracy or loss", _score_fault)
SPLIT_SHARE = stated("from 0 to 1; the three sum to 1")


# --- groups ---


@dataclass
class SplitConfig:
    """One split: pictures with a COCO json, or with a folder of masks. Paths start from `data.root`."""

    images: Annotated[str, "folder of pictures"]
    annotations: Annotated[str | None, "COCO annotation file; null: masks are given"] = None
    masks: Annotated[str | None, "folder of mask pictures, see roof_values; null: annotations are given"] = None


@dataclass
class SourceConfig(SplitConfig):
    """One source of a mix."""

    match: Annotated[str | None, "regular expression on the start of file names; null: all"] = MISSING
    skip: Annotated[list[str], "file names without suffix to leave out"] = MISSING
    gsd: Annotated[float, "metres per pixel"] = MISSING
    weight: Annotated[float, "share of the draws, relative to the other sources"] = MISSING


@dataclass
class WindowConfig:
    """Training windows."""

    size: Annotated[list[int], SIZE, "px: [height, width] of a window"]
    gsd: Annotated[list[float], GSDS, "metres per pixel: lowest and highest; 3 windows in 10 keep the picture's own"]
    filters: Annotated[list[str], FILTERS, "resampling filters; each window draws one"] = field(
        default_factory=lambda: ["bilinear"]
    )


@dataclass
class DataConfig:
    """A data set: a file of `conf/data/`."""

    name: Annotated[str, "name of the data set, for output folders and reports"]
    root: Annotated[str, "folder of the data set; paths of the splits start here"]
    train: Annotated[SplitConfig | None, "training pictures; null: those of mix"]
    val: Annotated[SplitConfig | None, "validation pictures; null: cut out of train"]
    test: Annotated[SplitConfig | None, "test pictures; null: the final score is that of val"]
    val_share: Annotated[float, INSIDE_0_1, "share of the training pictures cut out for validation, if val is null"]
    place: Annotated[str | None, PATTERN, "its first group names the place in a file name; null: by tile numbers z_x_y"]
    categories: Annotated[list[Any] | None, CATEGORIES, "names or ids of COCO categories, one channel each; null: all"]
    masks: Annotated[str | None, "folder written by make_masks.py; null: masks are drawn from annotations when loaded"]
    gsd: Annotated[float | None, ABOVE_0, "metres per pixel (ground sampling distance); null: unknown"]
    mean: Annotated[list[float] | None, "mean of each channel of pictures scaled to [0, 1]; null: measured"]
    std: Annotated[list[float] | None, ABOVE_0_EACH, "standard deviation of each channel, as mean; null: measured"]
    size: Annotated[list[int] | None, SIZE, "px: [height, width] to resize pictures to; null: as they are"]
    batch_size: Annotated[int, at_least(1), "pictures per step and device"]
    workers: Annotated[int, at_least(0), "loader processes"]
    cache: Annotated[str, "folder of compact indexes of annotation files"]
    # The keys below came later. The default is what held before: run folders without them must still resume.
    mix: Annotated[dict[str, SourceConfig] | None, "several named sources to train on as one, instead of train"] = None
    window: Annotated[WindowConfig | None, "training windows; null: whole pictures"] = None
    draws: Annotated[int | None, at_least(1), "pictures or windows drawn per epoch; null: each picture once"] = None
    targets: Annotated[list[str], stated("roof, core, edge"), "output channels; core or edge separates roofs"] = field(
        default_factory=lambda: ["roof"]
    )
    gaps: Annotated[bool, "leave a gap of one pixel between touching roofs in training masks (COCO data)"] = False
    bands: Annotated[list[int] | None, stated("1 or more"), "1-based band numbers; null: 8-bit RGB"] = None
    roof_values: Annotated[
        Any,
        stated("nonzero, bright, or values such as [1] or [[255,0,0]]"),
        "values of roofs in mask pictures; null: 255, or 1 with 255 as not judged; nonzero: one number a roof; "
        "bright: above 127",
    ] = None
    ignored_values: Annotated[
        list[Any] | None, stated("values"), "values in mask pictures that are not judged; null: as for roof_values"
    ] = None
    source: Annotated[
        Any, stated("a _target_ and its arguments"), "a class of your own that opens pictures and truth; null: files"
    ] = None
    scale: Annotated[list[Any] | None, stated("pairs"), "file values that become 0 and 255; null: measured"] = None
    percentiles: Annotated[list[float] | None, stated("two of 0 to 100"), "where a measured scale cuts off"] = None


@dataclass
class MonitorConfig:
    """The score that chooses the best checkpoint, and that a sweep compares."""

    name: Annotated[str, SCORE, "score that chooses the best epoch"]
    mode: Annotated[str, MODE, "min for a loss, max for every other score"]


@dataclass
class MachinesConfig:
    """The devices of a prediction, named as in Lightning's Trainer."""

    accelerator: Annotated[str, stated("cpu, gpu, mps or auto"), "kind of device"]
    devices: Annotated[Any, stated("a number, a list such as [0,2], or auto"), "devices of each machine"]
    num_nodes: Annotated[int, stated("1 or more"), "machines; they share one disk"]
    strategy: Annotated[str, stated("auto or ddp"), "both mean one process per device"]


@dataclass
class PolygonsConfig:
    """From probabilities to outlines: a file of `conf/polygons/`."""

    separate: Annotated[
        float | str | None,
        stated("auto, or above 0 and at most 1"),
        "touching roofs: auto: a learned decision; a share of a roof's width: narrower necks are cut; null: none",
    ]
    tolerance: Annotated[float, stated("0 or more"), "px: largest shift of a wall by simplification; 0: none"]
    angle: Annotated[
        float | None, stated("from 0 to 45"), "degrees: largest turn of a wall by squaring; null: no squaring"
    ]
    shift: Annotated[float, stated("0 or more"), "px: largest move of a corner by squaring"]
    min_area: Annotated[float, stated("0 or more"), "m2 (px if gsd is unknown): smaller roofs are dropped"]
    min_hole: Annotated[float, stated("0 or more"), "m2 (px if gsd is unknown): smaller holes are filled"]


@dataclass
class BootstrapConfig:
    """Confidence intervals of the scores."""

    rounds: Annotated[int, at_least(1), "resamplings of the pictures for 95 % intervals"]
    seed: Annotated[int, at_least(0), "seed of the resampling"]


@dataclass
class SharesConfig:
    """Shares of the three splits."""

    train: Annotated[float, SPLIT_SHARE, "share of the training split"]
    val: Annotated[float, SPLIT_SHARE, "share of the validation split"]
    test: Annotated[float, SPLIT_SHARE, "share of the test split"]


# --- scripts ---


@dataclass
class TrainConfig:
    """Keys of `conf/train.yaml`."""

    data: Annotated[DataConfig, choice("data"), "data set"]
    augmentation: Annotated[Any, choice("augmentation"), "random changes of training pictures, by name"]
    model: Annotated[Any, choice("model"), "network"]
    loss: Annotated[Any, choice("loss"), "loss function"]
    optimizer: Annotated[Any, choice("optimizer"), "optimizer"]
    scheduler: Annotated[Any, choice("scheduler"), "schedule of the learning rate"]
    trainer: Annotated[Any, choice("trainer"), "arguments of Lightning's Trainer; new ones with +trainer.NAME=VALUE"]
    callbacks: Annotated[Any, choice("callbacks"), "callbacks, by name; callbacks.NAME=null removes one"]
    logger: Annotated[Any, choice("logger"), "experiment loggers, by name"]
    monitor: Annotated[MonitorConfig, "score that chooses the best epoch"]
    seed: Annotated[int, between(0, 2**32 - 1), "seed of weights, picture order, augmentation and dropout"]
    resume: Annotated[str | None, "run folder to resume, with its own configuration; null: a new run"]
    compile: Annotated[bool, "compile the network with torch.compile"]
    channels_last: Annotated[bool, "memory layout of weights and pictures; faster convolutions"]
    threshold: Annotated[float, INSIDE_0_1, "probability from which a pixel counts as roof during training"]
    pictures: Annotated[int, at_least(0), "example pictures shown each epoch and drawn at the end"]
    # came later; the default is what held before
    metrics: Annotated[Any, "further scores by name: metrics of torchmetrics, or of your own"] = field(
        default_factory=dict
    )
    choose_threshold: Annotated[bool, "store the best threshold on validation in the card, for test and prediction"] = (
        False
    )


Engine = Enum("Engine", ["torch", "onnxruntime", "int8"])


@dataclass
class EvaluateConfig:
    """Keys of `conf/evaluate.yaml`."""

    data: Annotated[DataConfig, choice("data"), "data set to score on, instead of that of the training"]
    run: Annotated[
        Any, stated("a folder, a list, or a glob"), "run to score, or several, or a sweep; null: predictions are given"
    ]
    compare: Annotated[str | None, "another run folder, compared with the first on the same pictures"]
    predictions: Annotated[Any, stated("a file, or a list of files"), "COCO results to score instead of a run"]
    annotations: Annotated[str | None, "COCO annotation file with the truth for predictions"]
    images: Annotated[str | None, "folder of pictures for the report of predictions; null: a grey background"]
    gsd: Annotated[float | None, ABOVE_0, "metres per pixel of the pictures of annotations; null: unknown"]
    split: Annotated[str, stated("train, val or test"), "split to score"]
    threshold: Annotated[float | None, INSIDE_0_1, "probability from which a pixel counts as roof; null: the card's"]
    polygons: Annotated[PolygonsConfig, choice("polygons"), "from probabilities to outlines"]
    max_dets: Annotated[int, at_least(1), "predictions per picture that count for object scores (COCO: 100)"]
    bootstrap: Annotated[BootstrapConfig, "confidence intervals"]
    as_published: Annotated[str | None, stated("hisup or ffl"), "add the variants of scores in these papers"]
    examples: Annotated[int, at_least(0), "pictures of each kind (best, median, worst) in the report"]
    device: Annotated[str, stated("auto, cpu, cuda, cuda:1, mps"), "device of the network"]
    engine: Annotated[Engine, "how the network runs; onnxruntime and int8 (eight bits) work on a CPU"]
    tta: Annotated[str | None, stated("flips, d4, scales, large"), "test-time augmentation; null: one view"]
    rescale: Annotated[bool, "rescale pictures to the metres per pixel of the training, if data.gsd is known"]


@dataclass
class CheckConfig:
    """Squares to look at first."""

    count: Annotated[int, between(0, 1000), "largest number of squares; 0: no layer"]
    size: Annotated[float, between(10, 1000), "m: side of a square"]


@dataclass
class PredictConfig:
    """Keys of `conf/predict.yaml`."""

    source: Annotated[str, "picture, GeoTIFF, VRT, folder, glob in quotes, or https address of a GeoTIFF"]
    run: Annotated[str, "run folder"]
    threshold: Annotated[float | None, INSIDE_0_1, "probability from which a pixel counts as roof; null: the card's"]
    trainer: Annotated[MachinesConfig, "devices"]
    engine: Annotated[Engine, "how the network runs; onnxruntime and int8 (eight bits) work on a CPU"]
    calibrate: Annotated[str | None, "folder of pictures for engine=int8; null: as stored, else the embedded tiles"]
    polygons: Annotated[PolygonsConfig, choice("polygons"), "from probabilities to outlines"]
    window: Annotated[
        int | None, stated("1 or more"), "px: side of the windows of a scene; null: 768 on a CPU, else 1024"
    ]
    overlap: Annotated[int, stated("0 to half of window"), "px: overlap of neighbouring windows"]
    batch: Annotated[int | None, stated("1 or more"), "windows per step; null: 1 on a CPU, else 2"]
    tta: Annotated[str | None, stated("auto, flips, d4, scales, large"), "test-time augmentation; null: one view"]
    gsd: Annotated[float | None, ABOVE_0, "metres per pixel of the source; null: as the file says"]
    crs: Annotated[str | None, stated("AUTHORITY:CODE"), "reference system of a source without one, e.g. EPSG:32645"]
    aoi: Annotated[str | None, "vector file of polygons; outside nothing is computed and no roof is written; null: all"]
    bbox: Annotated[
        list[float] | None, stated("[west,south,east,north]"), "degrees on WGS 84; as aoi; both: where they overlap"
    ]
    rescale: Annotated[bool, "rescale the source to the metres per pixel of the training, if both are known"]
    bands: Annotated[list[int] | None, stated("1 or more"), "1-based band numbers; null: as in training, or RGB"]
    formats: Annotated[
        list[str],
        stated("gpkg, geojson, fgb, parquet, shp, dxf, pmtiles"),
        "vector files of the outlines",
    ]
    probability: Annotated[bool, "write the probability of a scene as cloud-optimised GeoTIFF"]
    check: Annotated[CheckConfig | None, "squares of a scene to look at first, a layer of roofs.gpkg; null: none"]
    unfinished: Annotated[str, "folder of interrupted predictions; the same command resumes them"]


@dataclass
class MakeMasksConfig:
    """Keys of `conf/make_masks.yaml`."""

    data: Annotated[DataConfig, choice("data"), "data set"]
    limit: Annotated[int | None, at_least(1), "first pictures of each split; null: all"]
    processes: Annotated[int, at_least(1), "parallel processes"]
    init: Annotated[bool, "only make the empty folder tree for pictures and annotations"]


@dataclass
class CheckDataConfig:
    """Keys of `conf/check_data.yaml`."""

    data: Annotated[DataConfig, choice("data"), "data set"]
    processes: Annotated[int, at_least(1), "parallel processes"]
    fix: Annotated[str | None, "folder for cleaned annotation files; originals stay untouched; null: none"]
    borders: Annotated[bool, "mark tile borders with missing roofs as iscrowd in fix, so that they do not count"]
    crowds: Annotated[
        str, stated("keep or roofs"), "what fix does with iscrowd areas: keep, or make each a single roof"
    ]
    shifts: Annotated[
        str, stated("keep or move"), "what fix does with labels shifted against the picture: keep, or move them"
    ]
    apart: Annotated[str, stated("copies or places"), "what fix keeps in one split only: copies, or whole places"]


@dataclass
class MakeTilesConfig:
    """Keys of `conf/make_tiles.yaml`."""

    source: Annotated[str, "GeoTIFF, folder of them, or glob in quotes"]
    footprints: Annotated[str, "vector file of buildings (GeoJSON, GeoPackage, Shapefile, ...) in any reference system"]
    layer: Annotated[str | None, "layer of footprints; null: the only layer of areas"]
    where: Annotated[
        str | None,
        stated("an attribute filter of GDAL"),
        "features to take, e.g. building = 'yes'; null: of OpenStreetMap layers those with a building tag, else all; "
        "'': all",
    ]
    area: Annotated[str | None, "vector file of polygons; only ground inside is learned and scored; null: all"]
    area_layer: Annotated[str | None, "layer of area; null: the only layer of areas"]
    size: Annotated[int, at_least(1), "px: side of a tile"]
    overlap: Annotated[int, stated("0 or more, below size"), "px: overlap of neighbouring tiles"]
    gsd: Annotated[float | None, ABOVE_0, "metres per pixel to resample to; null: as the raster is"]
    crs: Annotated[str | None, stated("AUTHORITY:CODE"), "reference system of a raster without one, e.g. EPSG:32645"]
    min_valid: Annotated[float, SHARE, "smallest share of a tile with data; with area: of its part inside"]
    min_area: Annotated[float, at_least(0), "square px: smallest part of a building inside a tile"]
    shares: Annotated[SharesConfig, "shares of the ground, cut into strips"]


@dataclass
class MakeSyntheticConfig:
    """Keys of `conf/make_synthetic.yaml`."""

    count: Annotated[int, between(0, 2**31), "pictures, one town each"]
    size: Annotated[int, between(16, 2048), "px: width and height of a picture"]
    gsd: Annotated[float, between(0.1, 1), "metres per pixel"]
    seed: Annotated[int, between(0, 2**31), "seed of everything"]
    density: Annotated[float, SHARE, "share of lots with a building"]
    shares: Annotated[SharesConfig, "shares of the pictures"]
    scene: Annotated[int | None, at_least(0), "px: side of one more town as GeoTIFF; null: none"]
    processes: Annotated[int, at_least(1), "parallel processes"]


Form = Enum("Form", ["raw", "deepness"])


@dataclass
class ExportConfig:
    """Keys of `conf/export.yaml`."""

    run: Annotated[str, "run folder"]
    form: Annotated[Form, "raw: pictures of any size, uint8; deepness: tiles for the plugin Deepness of QGIS"]
    int8: Annotated[bool, "eight-bit weights and activations, for CPUs; only with form=raw"]
    calibrate: Annotated[str | None, "folder of pictures for int8=true; null: the embedded tiles"]
    tile: Annotated[int, between(64, 4096), "px: side of the tiles of form=deepness"]


@dataclass
class AdaptConfig:
    """Keys of `conf/adapt.yaml`."""

    source: Annotated[Any, "GeoTIFF or VRT that was corrected, a folder, a glob in quotes, or a list"]
    corrected: Annotated[
        Any, stated("a file, or a list of files"), "file roofs.gpkg of predict.py after the corrections"
    ]
    footprints: Annotated[str | None, "vector file of all roofs of an area, instead of corrected"]
    area: Annotated[str | None, "vector file of polygons; all roofs inside them are in footprints"]
    layer: Annotated[str | None, "layer of footprints; null: the only layer of areas"]
    area_layer: Annotated[str | None, "layer of area; null: the only layer of areas"]
    crs: Annotated[str | None, stated("AUTHORITY:CODE"), "reference system of a source without one, e.g. EPSG:32645"]
    largest: Annotated[float, ABOVE_0, "m: larger checked ground is cut into squares of at most this side"]
    run: Annotated[str, "run folder to start from; one of adapt.py: its squares are learned again with the new ones"]
    folds: Annotated[int, at_least(2), "trainings; each is scored on the squares that it did not learn"]
    steps: Annotated[int, at_least(1), "optimizer steps of each training"]
    batch_size: Annotated[int, at_least(1), "windows a step"]
    window: Annotated[int, at_least(32), "px: side of a training window"]
    memory: Annotated[str | None, "data set of conf/data/ mixed in, so that nothing is forgotten; null: none"]
    memory_share: Annotated[float, must("a share from 0, below 1", lambda share: 0 <= share < 1), "of the windows"]
    share: Annotated[float, SHARE, "of the new weights in the result; the rest are those of the start"]
    average: Annotated[float, INSIDE_0_1, "share of the running mean of the weights kept at each step"]
    augmentation: Annotated[Any, choice("augmentation"), "random changes of training windows, by name"]
    loss: Annotated[Any, choice("loss"), "loss function"]
    optimizer: Annotated[Any, choice("optimizer"), "optimizer"]
    scheduler: Annotated[Any, choice("scheduler"), "schedule of the learning rate"]
    polygons: Annotated[PolygonsConfig, choice("polygons"), "from probabilities to outlines, for the scores of roofs"]
    seed: Annotated[int, between(0, 2**32 - 1), "seed of windows, augmentation and dropout"]
    device: Annotated[str, stated("auto, cpu, cuda"), "device of the network"]


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "make_masks": MakeMasksConfig,
    "check_data": CheckDataConfig,
    "make_tiles": MakeTilesConfig,
    "make_synthetic": MakeSyntheticConfig,
    "export": ExportConfig,
    "adapt": AdaptConfig,
}
ARGUMENTS: dict[str, Any] = {  # of the targets of train.py
    "optimizer.lr": Annotated[float, at_least(0), "learning rate at the top of the schedule"],
    "scheduler.rise": Annotated[float, SHARE, "share of the steps in which the learning rate rises"],
    "callbacks.average.decay": Annotated[float, SHARE, "share of the mean weights kept at each step"],
    "callbacks.early_stop.monitor": Annotated[str, SCORE, "score that stops the training when it no longer improves"],
    "trainer.max_epochs": Annotated[int, at_least(1), "epochs"],
    "trainer.precision": Annotated[str, PRECISION, "number format of the computation"],
}
MEMBERS = ("augmentation", "callbacks", "logger", "metrics")  # groups of named objects, built one by one
OBJECTS = ("model", "loss", "optimizer", "scheduler", "trainer")  # groups of one object; scheduler may be null


# --- check and reference ---


class Key(NamedTuple):
    """One line of the schema; `name` is dotted, with NAME for a name of the user's choice."""

    name: str
    type: Any
    range: Range | None
    meaning: str


def keys(script: str) -> Iterator[Key]:
    """Yield all keys of a script, outer ones first."""
    yield from _keys_in(SCHEMAS[script], "")
    if script == "train":
        yield from (_key(name, hint) for name, hint in ARGUMENTS.items())


def _keys_in(schema: type, prefix: str) -> Iterator[Key]:
    for name, hint in get_type_hints(schema, include_extras=True).items():
        key = _key(prefix + name, hint)
        yield key
        for kind in (key.type, *get_args(key.type)):  # X | None has X in its arguments
            if isinstance(kind, type) and is_dataclass(kind):
                yield from _keys_in(kind, f"{key.name}.")
            elif get_origin(kind) is dict:
                yield from _keys_in(get_args(kind)[1], f"{key.name}.NAME.")


def _key(name: str, hint: Any) -> Key:
    kind, *notes = get_args(hint)
    return Key(name, kind, next((note for note in notes if isinstance(note, Range)), None), notes[-1])


def type_of(script: str, name: str) -> str:
    """Return the type of a key in plain words, empty for an unknown key."""
    return next((_type_words(key.type) for key in keys(script) if key.name == name), "")


def check_ranges(settings: Mapping[str, Any], script: str) -> None:
    """Check the values of a configuration against their ranges. null is a matter of the type.

    Args:
        settings: plain, resolved containers; missing keys are skipped.
        script: key of `SCHEMAS`.

    Raises:
        ConfigError: a value is outside its range, a named object has no `_target_`, or `monitor.mode` is the wrong way.
    """
    own = {f"val/{name}" for name, node in (settings.get("metrics") or {}).items() if node}
    for key in keys(script):
        value = _at(settings, key.name)
        if key.range is SCORE and value in own:
            continue
        if key.range and value is not None and (fault := _fault(key.range, value)):
            raise ConfigError(f"{key.name}={value}: {fault}.")
    _check_objects(settings, OBJECTS if script == "train" else ())
    monitor = settings.get("monitor")
    if (
        monitor
        and monitor["name"] not in own
        and monitor["mode"] != (best := "min" if monitor["name"].endswith("/loss") else "max")
    ):
        raise ConfigError(
            f"monitor.mode={monitor['mode']}: would keep the worst weights by {monitor['name']}; set "
            f"monitor.mode={best}."
        )


def _check_objects(settings: Mapping[str, Any], single: Sequence[str]) -> None:
    for group in (name for name in single if name in settings):
        if not _is_target(settings[group]) and not (group == "scheduler" and settings[group] is None):
            raise ConfigError(f"{group} has no _target_: choose a file of conf/{group}/: {group}=NAME")
    for group in MEMBERS:
        members = settings.get(group, {})
        if not isinstance(members, Mapping):
            raise ConfigError(f"{group} holds several settings: '{group}={{NAME: {{_target_: CLASS}}, ...}}'")
        for name, node in members.items():
            if node is not None and not _is_target(node):
                member = f"{group}.{name}"
                raise ConfigError(
                    f"{member} has no _target_: add +{member}._target_=CLASS, or remove it: {member}=null"
                )


def _is_target(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("_target_"), str)


def _at(settings: Any, key: str, otherwise: Any = None) -> Any:
    for name in key.split("."):
        settings = settings.get(name, otherwise) if isinstance(settings, Mapping) else otherwise
    return settings


def _fault(allowed: Range, value: Any) -> str:
    try:
        return allowed.fault(value)
    except TypeError:  # the argument of a target has no type in the schema: 0 <= "fast"
        return "must be a number"


class Row(NamedTuple):
    """A row of the configuration reference. A key of several scripts names them all in `script`."""

    script: str
    key: str
    type: str
    range: str
    default: str
    meaning: str


def reference() -> list[Row]:
    """Return the configuration reference: the keys of each script, then those of the groups that scripts share."""
    own: list[Row] = []
    shared: dict[str, Row] = {}
    for script in SCHEMAS:
        defaults, choices = _defaults(script)
        for key in keys(script):
            default = choices.get(key.name) or _default_words(_at(defaults, key.name, otherwise=""))
            kind = "group" if key.name in choices else _type_words(key.type)
            row = Row(script, key.name, kind, key.range.words if key.range else "", default, key.meaning)
            if key.name.startswith(("data.", "polygons.")):
                users = f"{shared[key.name].script}, {script}" if key.name in shared else script
                shared[key.name] = row._replace(script=users)
            else:
                own.append(row)
    return own + list(shared.values())


def _defaults(script: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Values of `conf/`, and the file chosen in each group."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(script, return_hydra_config=True)
    settings: Any = OmegaConf.to_container(cfg, resolve=False)
    return settings, dict(cfg.hydra.runtime.choices)


def _default_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ""
    if value == "???":
        return "required"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_TYPE_WORDS = {bool: "true or false", int: "integer", float: "number", str: "string", Any: "any", type(None): "null"}


def _type_words(kind: Any) -> str:
    """The type of a key in plain words: `list[int] | None` is a list of integers or null."""
    arguments = get_args(kind)
    if isinstance(kind, UnionType):
        return " or ".join(map(_type_words, arguments))
    if get_origin(kind) is list:
        return "list" if arguments[0] is Any else f"list of {_type_words(arguments[0])}s"
    if kind in _TYPE_WORDS:
        return _TYPE_WORDS[kind]
    return " or ".join(member.name for member in kind) if issubclass(kind, Enum) else "group"
