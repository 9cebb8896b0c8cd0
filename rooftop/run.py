"""The run folder: card and weights. The folder is the model; prediction, evaluation and export read nothing else.

Weights are safetensors, the card is JSON, and the network is built from an allow-listed `_target_`: nothing in a
stranger's run folder is executed.
"""

import dataclasses
import pickle
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from rooftop.config import build_network
from rooftop.errors import RooftopError, RunError
from rooftop.files import atomic_write, read_json, write_json

CARD, WEIGHTS, FORMAT = "card.json", "model.safetensors", 1
PACKAGES = ("rooftop", "torch", "pytorch-lightning", "albumentations", "pycocotools", "numpy")


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
        data: name of the data set and number of pictures in each split.
        scores: of the best weights on the test split; empty before the test.
        created: UTC, ISO 8601.
        versions: of the packages that made it.
        git: commit of the code, or None outside a checkout.
        format: of this file.
    """

    network: dict[str, Any]
    preparation: dict[str, Any]
    categories: list[str]
    threshold: float
    gsd: float | None = None
    gsd_range: list[float] | None = None
    targets: list[str] = field(default_factory=lambda: ["roof"])
    data: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=lambda: versions())
    git: str | None = field(default_factory=lambda: git_hash())
    format: int = FORMAT


@dataclass(frozen=True)
class Run:
    """A loaded run folder; the network is in evaluation mode, on the CPU, float32."""

    folder: Path
    card: Card
    network: nn.Module


def save(folder: Path, network: nn.Module, card: Card) -> None:
    """Write weights and card, each atomically. The card comes last: a card means a complete run."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as part:  # save_file would make it readable for its owner alone
        part.write_bytes(to_bytes(state, metadata={"format": "pt"}))
    write_json(folder / CARD, dataclasses.asdict(card))


def load(folder: Path | str) -> Run:
    """Load a run folder.

    Raises:
        RunError: no such folder, no card, a card of a newer format, weights missing or not fitting the network.
    """
    folder = Path(folder)
    card = read_card(folder)
    network = build_network(card.network, f"{folder / CARD}: network")
    if not isinstance(network, nn.Module):
        raise RunError(f"{folder / CARD}: network._target_={card.network['_target_']} makes no network.")
    try:
        state = load_file(folder / WEIGHTS)
        network.load_state_dict({name: _float32(tensor) for name, tensor in state.items()}, strict=True)
    except FileNotFoundError as error:
        raise RunError(f"{folder / WEIGHTS}: no such file; copy the whole run folder.") from error
    except SafetensorError as error:
        raise RunError(f"{folder / WEIGHTS}: damaged ({error}); copy the run folder again.") from error
    except RuntimeError as error:
        raise RunError(f"{folder / WEIGHTS}: does not fit the network of card.json; copy both from one run.") from error
    return Run(folder, card, network.eval())


def read_card(folder: Path) -> Card:
    """Read the card of a run folder.

    Raises:
        RunError: no such folder, no card, or a card of an unknown format.
    """
    if not (folder / CARD).is_file():
        what = "has no card.json" if folder.is_dir() else "is no folder"
        where = "" if folder.is_dir() or folder.is_absolute() else f" in {Path.cwd()}"
        raise RunError(f"run={folder} {what}{where}; name a folder that train.py finished.")
    try:
        content = read_json(folder / CARD)
        known = {item.name for item in dataclasses.fields(Card)}
        card = Card(**{key: value for key, value in content.items() if key in known})
        if card.format > FORMAT:
            raise RunError(f"{folder / CARD}: format {card.format} is newer than this version; update rooftop.")
        if not isinstance(card.network["_target_"], str):
            raise TypeError("its network has no name")
    except (RooftopError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{folder / CARD}: not a card ({error}); copy the run folder again.") from error
    return card


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint onto the CPU; only tensors and plain containers are let in, never code.

    Raises:
        RunError: missing, damaged, or holding pickled code.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file.") from error
    except pickle.UnpicklingError as error:
        raise RunError(
            f"{path}: holds more than weights and plain containers; it was refused, not executed."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise RunError(f"{path}: damaged ({str(error).splitlines()[0]}); go on from another checkpoint.") from error
    return content


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages behind a result."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    from rooftop import __version__

    try:
        return version(name)
    except PackageNotFoundError:
        return __version__ if name == "rooftop" else "not installed"


def git_hash() -> str | None:
    """Commit of the checkout this package lies in, or None."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
