"""Is a checkpoint one of this training? It is restored into spare parts before any work."""

import copy
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rooftop.callbacks.history import History
from rooftop.callbacks.start import Freeze
from rooftop.errors import RunError
from rooftop.run import read_checkpoint, same_tensors
from rooftop.task import RooftopTask

_VERSION = re.compile(r"[2-9]\.\d+[\w.+-]*")  # of Lightning
_STEPS = 1000  # of the spare schedule


def require_resumable(path: Path, trainer: Trainer, task: RooftopTask) -> int:
    """Check a checkpoint whole: all that Lightning restores from it fits the network, optimizer and callbacks here.

    Args:
        path: of the checkpoint.
        trainer: with all its callbacks.
        task: as built from the configuration of the run.

    Returns:
        Number of finished epochs.

    Raises:
        RunError: the checkpoint is damaged, or of another training; the message names the part that does not fit.
    """
    content = read_checkpoint(path)
    parts: dict[str, Callable[[], None]] = {
        "epoch": lambda: _check_numbers(content),
        "weights": lambda: _check_weights(content, task),
        "optimizer": lambda: _check_optimizer(content, trainer, task),
        "progress": lambda: _check_progress(content, trainer),
        "callbacks": lambda: _check_callbacks(content, trainer),
    }
    for part, check in parts.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of spare parts
                check()
        except Exception as error:  # the parts are sound, so each comes from the checkpoint
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise RunError(
                f"{path}: {part} of another training than that of .hydra/config.yaml, or damaged ({reason}); copy both "
                "from one run, or start a new one."
            ) from error
    return int(content["epoch"]) + 1


def require_weights(path: Path, task: RooftopTask) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Raises:
        RunError: the checkpoint is damaged, or has the weights of another network.
    """
    state = read_checkpoint(path).get("state_dict")
    if not isinstance(state, dict) or not same_tensors(state, task.state_dict()):
        raise RunError(f"{path}: its weights do not fit .hydra/config.yaml; copy both from one run.")
    return state


def _check_numbers(content: dict[str, Any]) -> None:
    _require_alike(content, {"epoch": 0, "global_step": 0, "pytorch-lightning_version": ""}, more=True)
    if not _VERSION.fullmatch(content["pytorch-lightning_version"]):
        raise ValueError("pytorch-lightning_version")


def _check_weights(content: dict[str, Any], task: RooftopTask) -> None:
    """Compare names and shapes: those of the network and, if there is one, of its average."""
    here = task.state_dict()
    for name in ("state_dict", *(key for key in ("current_model_state",) if key in content)):
        if not same_tensors(content[name], here):
            raise ValueError(f"{name} has other names or shapes")
    if any(tensor.numel() != 1 for tensor in content.get("averaging_state", {}).values()):
        raise ValueError("averaging_state")


def _check_optimizer(content: dict[str, Any], trainer: Trainer, task: RooftopTask) -> None:
    """Load the state of optimizer and schedule into spare ones, and take a step with them."""
    for each in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(each, Freeze):  # before the optimizer is made, as in the training
            each.setup(trainer, task, "fit")
    spare = [nn.Parameter(weight.detach().clone()) for weight in task.parameters() if weight.requires_grad]
    fresh, optimizer = task.make_optimizer(spare), task.make_optimizer(spare)
    schedules = [each["scheduler"] for each in (task.make_schedule(optimizer, lambda: _STEPS),) if each]
    _step(fresh, spare)
    expected = fresh.state_dict()
    saved, rates = content["optimizer_states"], content["lr_schedulers"]
    if len(saved) != 1 or len(rates) != len(schedules):
        raise ValueError(f"{len(saved)} states of optimizers, {len(rates)} of schedules")
    if expected["state"] and not saved[0]["state"]:
        raise ValueError("no state of an optimizer")
    optimizer.load_state_dict(saved[0])
    loaded = optimizer.state_dict()
    for i, state in loaded["state"].items():
        _require_alike(state, expected["state"][i])
    for group, other in zip(loaded["param_groups"], expected["param_groups"], strict=True):
        _require_alike(group, other, more=True)
    for schedule, rate in zip(schedules, rates, strict=True):
        _check_schedule(schedule, rate)
    _step(optimizer, spare)
    for schedule in schedules:
        schedule.step(0.5) if isinstance(schedule, ReduceLROnPlateau) else schedule.step()


def _check_schedule(schedule: Any, state: dict[str, Any]) -> None:
    _require_alike(state, schedule.state_dict(), more=True)
    if any(callable(getattr(schedule, name, None)) for name in state):
        raise ValueError("a method under the name of a value")
    schedule.load_state_dict(copy.deepcopy(state))


def _step(optimizer: Optimizer, weights: list[nn.Parameter]) -> None:
    """Take a step without gradients, which makes the state that the optimizer keeps."""
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()


def _check_progress(content: dict[str, Any], trainer: Trainer) -> None:
    """Compare the counters of Lightning's loops with those of a new training."""
    saved, fresh = content["loops"]["fit_loop"], trainer.fit_loop.state_dict()
    _require_alike(saved, {"epoch_progress": fresh["epoch_progress"]}, more=True)
    for name in saved:
        _require_alike(saved[name], {key: fresh[name][key] for key in saved[name]})


def _check_callbacks(content: dict[str, Any], trainer: Trainer) -> None:
    """Load the states of callbacks into copies; a path must lie where it seems to."""
    states = content["callbacks"]
    for each in trainer.callbacks:  # type: ignore[attr-defined]
        state = states.get(each.state_key)
        if state is None or not isinstance(each, ModelCheckpoint | EarlyStopping | History):
            continue
        fresh = each.state_dict()
        _require_alike(state, {key: value for key, value in fresh.items() if key in state})
        scores = [state.get(name) for name in ("best_model_score", "current_score", "best_score", "kth_value")]
        best: dict[Any, Any] = state.get("best_k_models", {})
        for score in (*(score for score in scores if score is not None), *best.values()):
            float(score + torch.zeros(()))
        for name in (*best, *(value for value in state.values() if isinstance(value, str))):
            if ".." in PurePath(name).parts:  # Lightning deletes the checkpoints that it lists
                raise ValueError(f"the path {name:.100}")
        copy.copy(each).load_state_dict(copy.deepcopy(state))


def _require_alike(saved: Any, fresh: Any, *, more: bool = False) -> None:
    """Compare kinds, not values: numbers with numbers, tensors with tensors of the same shape, dicts by their keys.

    Args:
        saved: of a checkpoint.
        fresh: what a new training has there; None accepts any value, an empty list any list, likewise a dict.
        more: the outermost dict may have further keys.

    Raises:
        ValueError: they differ.
    """
    if isinstance(fresh, dict):
        if not isinstance(saved, dict):
            raise ValueError(f"expected names with values, got {type(saved).__name__}")
        if differ := fresh.keys() - saved.keys() if more or not fresh else fresh.keys() ^ saved.keys():
            raise ValueError(f"other names: {', '.join(sorted(map(str, differ))):.100}")
        for name, value in fresh.items():
            _require_alike(saved[name], value)
    elif isinstance(fresh, list | tuple):
        if not isinstance(saved, list | tuple):
            raise ValueError(f"expected a list, got {type(saved).__name__}")
        for value in saved if fresh else ():
            _require_alike(value, fresh[0])
    elif fresh is not None:
        _require_same_kind(saved, fresh)


def _require_same_kind(saved: Any, fresh: Any) -> None:
    kinds: dict[type, Any] = {bool: bool, int: int, float: (int, float), str: str}
    expected = kinds.get(type(fresh), type(fresh))
    fits = isinstance(saved, expected) and isinstance(saved, bool) == isinstance(fresh, bool)
    if isinstance(fresh, Tensor):
        fits = fits and same_tensors({"": saved}, {"": fresh})
    if isinstance(fresh, int):
        fits = fits and 0 <= saved < 2**62
    if not fits or (isinstance(saved, float) and math.isnan(saved)):
        raise ValueError(f"expected {type(fresh).__name__}, got {type(saved).__name__} {saved!s:.50}")
