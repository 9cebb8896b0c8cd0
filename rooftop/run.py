"""The run folder: card and weights. The folder is the model; prediction, evaluation and export read nothing else.

Weights are safetensors, the card is JSON, and the network is built from an allow-listed `_target_`: nothing in a
stranger's run folder is executed. The card is checked whole before anything of it is used, and a network takes no more
memory than its weights file justifies.
"""

import dataclasses
import math
import pickle
import platform
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import torch
from msgspec import Meta
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn
from torch.overrides import TorchFunctionMode

from rooftop.config import build_network
from rooftop.config.paths import INSTALLED, PROJECT
from rooftop.errors import RunError
from rooftop.files import atomic_write, write_json
from rooftop.polygons.regions import Likeness
from rooftop.raster.targets import ROOF, TARGETS
from rooftop.version import __version__

CARD, WEIGHTS, FORMAT = "card.json", "model.safetensors", 1
PACKAGES = ("rooftop", "torch", "pytorch-lightning", "albumentations", "pycocotools", "numpy")
MOST_BYTES = 2**20  # of a card; the shipped one has 1.6 KB
MOST_LEVELS = 8  # of containers inside one another on a card; the network of a training has 2

Name = Annotated[str, Meta(max_length=1000, pattern="^[^\\x00]*$")]
Gsd = Annotated[float, Meta(ge=1e-4, le=1e5)]
Side = Annotated[int, Meta(ge=1, le=2**12)]
Mean = Annotated[float, Meta(ge=-1e6, le=1e6)]
Std = Annotated[float, Meta(ge=1e-9, le=1e6)]
Band = Annotated[int, Meta(ge=1, le=2**16)]


@dataclass(frozen=True)
class Card:
    """Everything prediction needs beside the weights; `card.json`.

    Attributes:
        network: `_target_` with its arguments, plain containers.
        preparation: mean and std per channel (of [0, 1]), size (height, width) or None.
        categories: names of the K categories.
        targets: names of the T targets, roof first; channel t K + k of the network is target t of category k.
        threshold: probability from which a pixel counts as roof.
        gsd: ground sampling distance of the training pictures in metres per pixel, or None if unknown.
        gsd_range: lowest and highest metres per pixel of the training windows, or None if pictures were not rescaled.
        likeness: which touching parts are one roof, for `polygons.separate=auto`; None: by a fixed ratio.
        data: name of the data set and number of pictures in each split.
        scores: of the best weights on the test split; empty before the test.
        created: UTC, ISO 8601.
        versions: of the packages that made it.
        git: commit of the code, or None outside a checkout.
        licence: terms of the weights, for the metadata of predictions; None: not said.
        format: of this file.
    """

    network: dict[str, Any]
    preparation: dict[str, Any]
    categories: Annotated[list[Name], Meta(max_length=10_000)]
    threshold: Annotated[float, Meta(gt=0, lt=1)]
    gsd: Gsd | None = None
    gsd_range: Annotated[list[Gsd], Meta(min_length=2, max_length=2)] | None = None
    targets: list[Name] = field(default_factory=lambda: [ROOF])
    likeness: Likeness | None = None
    data: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=lambda: now())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    git: str | None = field(default_factory=lambda: git_hash())
    licence: str | None = None
    format: Annotated[int, Meta(ge=1)] = FORMAT


class _Preparation(msgspec.Struct):
    """Form of `Card.preparation`, as `rooftop.data.prepare.Preparation.plain` writes it."""

    mean: Annotated[list[Mean], Meta(min_length=1, max_length=1000)]
    std: list[Std]
    size: tuple[Side, Side] | None = None
    bands: list[Band] | None = None
    scale: list[tuple[float, float]] | None = None


@dataclass(frozen=True)
class Run:
    """A loaded run folder; the network is in evaluation mode, on the CPU, float32."""

    folder: Path
    card: Card
    network: nn.Module

    def require_outputs(self) -> None:
        """Compare the output channels of the network with the names on the card, before they are used.

        Raises:
            RunError: the network has not one channel for each target of each category.
        """
        named = len(self.card.categories) * len(self.card.targets)
        if self.card.network.get("classes", named) != named or not named:
            raise RunError(
                f"{self.folder / CARD}: network.classes: expected {named}, a channel for each target of each "
                "category; copy the run folder again."
            )


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def save(folder: Path, network: nn.Module, card: Card) -> None:
    """Write weights and card, each atomically. The card comes last: a card means a complete run."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as part:  # save_file would make it readable for its owner alone
        part.write_bytes(to_bytes(state, metadata={"format": "pt"}))
    write_json(folder / CARD, dataclasses.asdict(card))


def load(folder: Path | str) -> Run:
    """Load a run folder.

    Raises:
        RunError: no such folder, no card, a wrong card, one of a newer format, weights missing or not fitting.
        ConfigError: the network of the card is outside the allow-list, or rejects its values.
    """
    folder = Path(folder)
    card = read_card(folder)
    with _Bounded(_elements(folder / WEIGHTS), folder):
        network = build_network(card.network, f"{folder / CARD}: network")
    if not isinstance(network, nn.Module):
        raise RunError(f"{folder / CARD}: network._target_={card.network['_target_']} makes no network.")
    unfit = f"{folder / WEIGHTS}: does not fit the network of card.json; copy both from one run."
    try:
        state = load_file(folder / WEIGHTS)
        if not same_tensors(state, network.state_dict()):
            raise RunError(unfit)
        network.load_state_dict({name: _float32(tensor) for name, tensor in state.items()}, strict=True)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{folder / WEIGHTS}: damaged ({error}); copy the run folder again.") from error
    except RuntimeError as error:
        raise RunError(unfit) from error
    return Run(folder, card, network.eval())


def same_tensors(found: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> bool:
    """Return whether two states have the same names, and under each a tensor of one shape and kind of number."""
    return found.keys() == wanted.keys() and all(
        isinstance(tensor := found[name], torch.Tensor)
        and tensor.shape == mine.shape
        and tensor.layout == mine.layout
        and tensor.device.type == "cpu"
        and (tensor.is_floating_point(), tensor.is_complex()) == (mine.is_floating_point(), mine.is_complex())
        for name, mine in wanted.items()
    )


def _elements(path: Path) -> int:
    """Count the numbers in a weights file by its header, without reading them."""
    if not path.is_file():
        raise RunError(f"{path}: no such file; copy the whole run folder.")
    try:
        with safe_open(path, framework="pt") as weights:
            return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: damaged ({error}); copy the run folder again.") from error


class _Bounded(TorchFunctionMode):
    """Refuses a network larger than its weights before its memory is taken.

    A network may make twice as many numbers as it saves, and 2^26 more (256 MB), such as buffers that are not saved.
    Each tensor counts as 1,024 numbers or more, which bounds the layers too.

    Args:
        elements: numbers in the weights file.
        folder: run folder, for the message.
    """

    MAKERS: ClassVar[tuple[Callable[..., Any], ...]] = (
        *(torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn),
        torch.Tensor.clone,
    )

    def __init__(self, elements: int, folder: Path) -> None:
        super().__init__()
        self._left, self._folder = 2 * elements + 2**26, folder

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count the numbers that a call will make, then make them."""
        if function in self.MAKERS:
            self._left -= max(_size(args, kwargs or {}), 1024)
            if self._left < 0:
                raise RunError(f"{self._folder / CARD}: the network is larger than {WEIGHTS}; copy both from one run.")
        return function(*args, **(kwargs or {}))


def _size(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count the numbers of a tensor to be made with these arguments: a shape, its sides, or a tensor to copy."""
    first = kwargs.get("size", args[0] if args else 0)
    if isinstance(first, torch.Tensor):
        return first.numel()
    sides = first if isinstance(first, Sequence) else args
    return math.prod(side for side in sides if isinstance(side, int))


def read_card(folder: Path) -> Card:
    """Read the card of a run folder and check it whole: types, ranges, sizes, and how its values fit together.

    Raises:
        RunError: no such folder, no card, a wrong value, or a card of a newer format.
    """
    path = folder / CARD
    if not path.is_file():
        what = "has no card.json" if folder.is_dir() else "is no folder"
        where = "" if folder.is_dir() or folder.is_absolute() else f" in {Path.cwd()}"
        raise RunError(f"run={folder} {what}{where}; name a folder that train.py finished.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        card = msgspec.json.decode(path.read_bytes(), type=Card)
        if card.format > FORMAT:
            raise RunError(f"{path}: format {card.format} is newer than this version; update rooftop.")
        _check_together(card)
    except (ValueError, RecursionError, OSError) as error:  # those of msgspec, and of text that is not UTF-8, too
        raise RunError(f"{path}: not a card ({_fault(error)}); copy the run folder again.") from error
    return card


def _fault(error: Exception) -> str:
    """Describe a fault of msgspec in few words: 'threshold: expected `float`, got `str`'."""
    what, _, where = str(error).partition(" - at `$.")
    return f"{where.rstrip('`')}: {what[:1].lower()}{what[1:]}" if where else what


def _check_together(card: Card) -> None:
    """Check what the type of a single value does not contain.

    Raises:
        ValueError: the fault in some words.
    """
    if not isinstance(card.network.get("_target_"), str):
        raise ValueError("network has no _target_")
    if any(_too_deep(value) for value in (card.network, card.data, card.scores)):
        raise ValueError(f"more than {MOST_LEVELS} lists and objects inside one another")
    if card.targets[:1] != [ROOF] or len({*card.targets}) < len(card.targets) or not {*card.targets} <= {*TARGETS}:
        raise ValueError(f"targets: expected {ROOF}, then others of {', '.join(TARGETS)}")
    if card.gsd_range and card.gsd_range[0] > card.gsd_range[1]:
        raise ValueError("gsd_range: expected the lower number first")
    _check_channels(card)


def _check_channels(card: Card) -> None:
    """Compare the numbers of channels that the card states in several places.

    Raises:
        ValueError: the fault in some words.
    """
    try:
        preparation = msgspec.convert(card.preparation, _Preparation)
    except msgspec.ValidationError as error:
        raise ValueError(f"preparation: {_fault(error)}") from error
    scale, bands, channels = preparation.scale, preparation.bands, len(preparation.mean)
    if (bands is None) != (scale is None) or (scale and not all(low < high for low, high in scale)):
        raise ValueError("preparation.scale: expected a low and a high number for each of bands, or no bands")
    counts = {
        "preparation.std": len(preparation.std),
        "preparation.bands": 3 if bands is None else len(bands),
        "preparation.scale": channels if scale is None else len(scale),
        "network.in_channels": card.network.get("in_channels", channels),
    }
    for name, count in counts.items():
        if count != channels:
            raise ValueError(f"{name}: expected {channels} channels as in preparation.mean, got {count!s:.50}")


def _too_deep(value: Any) -> bool:
    layer = [value]
    for _ in range(MOST_LEVELS):
        lists = [list(each.values()) if isinstance(each, dict) else each for each in layer]
        layer = [child for each in lists if isinstance(each, list) for child in each]
        if not layer:
            return False
    return True


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint onto the CPU; only tensors and plain containers are let in, never code.

    Raises:
        RunError: missing, damaged, holding pickled code, or no checkpoint.
    """
    try:
        _require_plain_zip(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file.") from error
    except pickle.UnpicklingError as error:
        raise RunError(
            f"{path}: holds more than weights and plain containers; it was refused, not executed."
        ) from error
    except Exception as error:  # torch meets a damaged file with errors of any kind
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise RunError(f"{path}: damaged ({reason}); go on from another checkpoint.") from error
    if not isinstance(content, dict):
        raise RunError(f"{path}: not a checkpoint of a training; go on from another one.")
    return content


def _require_plain_zip(path: Path) -> None:
    """Refuse what would take more memory than the file has bytes: compressed entries, and buffers by their length.

    Raises:
        pickle.UnpicklingError: there is such a thing.
        ValueError, OSError: not a file as torch writes it.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no file")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise pickle.UnpicklingError("compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("entries overlap")
        for entry in entries:
            if entry.filename.endswith("data.pkl") and b"bytearray" in archive.read(entry):
                raise pickle.UnpicklingError("a buffer")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages behind a result."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(name)
    except PackageNotFoundError:
        return __version__ if name == "rooftop" else "not installed"


def git_hash() -> str | None:
    """Commit of the checkout this package lies in, or None."""
    if INSTALLED:  # a checkout around it is that of another project
        return None
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
