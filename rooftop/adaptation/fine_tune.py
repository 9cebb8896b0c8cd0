"""Fine-tune a run on checked squares, mixed with other ground so that what it knows is not forgotten."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback
from torch import Tensor, nn

from rooftop import losses, schedules
from rooftop.adaptation.squares import Tile
from rooftop.callbacks import Average
from rooftop.config import build, data_of
from rooftop.data import RoofDataModule
from rooftop.errors import ConfigError
from rooftop.inference import Predictor
from rooftop.logs import without_warnings
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.run import Run
from rooftop.task import RooftopTask

State = dict[str, Tensor]
GSD_RANGE = 0.75, 1.4  # of the windows, as shares of the metres per pixel of the run


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune; see `conf/adapt.yaml`.

    Attributes:
        steps: optimizer steps of each training.
        batch_size: windows a step.
        window: side of a window in pixels.
        memory: name of a data set in `conf/data/` whose training pictures are mixed in; None: none.
        memory_share: of the windows, those from `memory`.
        share: of the new weights in the result; the rest are those of the start.
        average: share of the running mean of the weights kept at each step.
        seed: of windows, augmentation and dropout.
        device: auto, cpu or cuda.
        parts: `_target_` nodes of `augmentation`, `loss`, `optimizer` and `scheduler`.
    """

    steps: int
    batch_size: int
    window: int
    memory: str | None
    memory_share: float
    share: float
    average: float
    seed: int
    device: str
    parts: Mapping[str, Any]


def fine_tune(start: Run, folder: Path, squares: Sequence[Tile], recipe: Recipe, on_step: Callable[[], None]) -> State:
    """Train on squares from the weights of a run.

    Args:
        start: its weights stay as they are.
        folder: of the squares.
        squares: to learn.
        recipe: how.
        on_step: called after each step.

    Returns:
        Running mean of the weights, on the CPU.
    """
    data = RoofDataModule(
        data_config(start, folder, squares, recipe),
        operations=build(recipe.parts["augmentation"], "augmentation"),
        seed=recipe.seed,
    )
    task = make_task(start, recipe)
    on_gpu = recipe.device != "cpu" and torch.cuda.is_available()
    trainer = pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
        max_epochs=1,
        gradient_clip_val=1.0,
        precision="bf16-mixed" if on_gpu else "32-true",
        callbacks=[Average(decay=recipe.average), LambdaCallback(on_train_batch_end=lambda *_: on_step())],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    with without_warnings():  # about data sets: squares have ground that is not judged, and some have no roof
        trainer.fit(task, data)
    return {name: tensor.detach().cpu() for name, tensor in task.network.state_dict().items()}


def require_recipe(start: Run, recipe: Recipe) -> None:
    """Try what a training is made of, before any work.

    Raises:
        ConfigError: a part refuses its values, there is no such device, or no such other ground.
    """
    if recipe.memory and recipe.memory_share:
        _other_ground(recipe.memory)
    build(recipe.parts["augmentation"], "augmentation")
    make_task(start, recipe)
    Predictor(start, device=recipe.device)


def make_task(start: Run, recipe: Recipe) -> RooftopTask:
    """Make the LightningModule of a training, with a copy of the network of the start.

    Raises:
        ConfigError: a part refuses its values.
    """
    network = copy.deepcopy(start.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = recipe.parts
    optimizer = build({**parts["optimizer"], "_partial_": True}, "optimizer")
    try:
        optimizer(network.parameters())
    except (ValueError, TypeError) as error:
        raise ConfigError(f"optimizer: {error}") from error
    scheduler = parts["scheduler"] and build({**parts["scheduler"], "_partial_": True}, "scheduler")
    return RooftopTask(
        network,
        losses.fitted(build(parts["loss"], "loss"), len(start.card.targets)),
        partial(PixelScores, 1),
        optimizer=optimizer,
        schedule=scheduler and schedules.fitted(scheduler, monitor="train/loss", mode="min"),
        threshold=start.card.threshold,
        seed=recipe.seed,
    )


def data_config(start: Run, folder: Path, squares: Sequence[Tile], recipe: Recipe) -> dict[str, Any]:
    """Return the `data` group of a training on squares: a mix of one source for each ground sampling distance.

    Args:
        start: gives the preparation of pictures and the targets.
        folder: of all squares.
        squares: to learn.
        recipe: size and number of windows, other ground.

    Raises:
        ConfigError: the other ground is no data set with pictures.
    """
    card = start.card
    gsds = sorted({_rounded(square.gsd) for square in squares})
    learned = {square.file for square in squares}
    every = [path.name for path in (folder / "images").iterdir()]
    here = {"images": str(folder / "images"), "annotations": str(folder / "annotation.json")}
    mix = {}
    for i, gsd in enumerate(gsds):
        own = {square.file for square in squares if _rounded(square.gsd) == gsd}
        skip = sorted(Path(name).stem for name in every if name not in own)
        share = len(own) / len(learned)
        mix[f"squares_{i}"] = {**here, "match": None, "skip": skip, "gsd": gsd, "weight": share}
    if recipe.memory and recipe.memory_share:
        weight = recipe.memory_share / (1 - recipe.memory_share)
        mix["memory"] = {**_other_ground(recipe.memory), "match": None, "skip": [], "weight": weight}
    middle = card.gsd or gsds[0]
    config = data_of("coco", root=str(folder))
    config |= {"bands": None, "scale": None} | card.preparation
    return {
        **config,
        "name": "squares",
        "train": None,
        "val": here,  # never read: a training of some steps is not validated
        "mix": mix,
        "targets": list(card.targets),
        "window": {"size": [recipe.window] * 2, "gsd": [share * middle for share in GSD_RANGE]},
        "draws": recipe.steps * recipe.batch_size,
        "batch_size": recipe.batch_size,
        "workers": 0,  # a batch is ready before a step is done; processes would take longer to start
    }


def _rounded(gsd: float) -> float:
    """Metres per pixel to three digits: they change a little from square to square of one source."""
    return float(f"{gsd:.3g}")


def _other_ground(name: str) -> dict[str, Any]:
    """Training pictures of a data set in `conf/data/` as a part of a mix."""
    try:
        data = data_of(name)
    except ConfigError as error:
        raise ConfigError(
            f"memory={name}: no data set that comes with its pictures; choose banepa, or null."
        ) from error
    train = data["train"]
    root = Path(data["root"]).absolute()
    return {key: str(root / train[key]) for key in ("images", "annotations")} | {"gsd": data["gsd"]}


def blended(start: nn.Module, states: Sequence[State], share: float) -> nn.Module:
    """Average the weights of several trainings, then interpolate between the start and the average.

    The average is a model soup (Wortsman et al. 2022, arXiv 2203.05482), the interpolation keeps what the start knows
    (Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv 2109.01903).

    Args:
        start: network before the trainings.
        states: its weights after each.
        share: of the average, 0 to 1; 0: the start.
    """
    network = copy.deepcopy(start)
    before = start.state_dict()
    mixed = {
        name: torch.lerp(tensor, torch.stack([state[name] for state in states]).mean(dim=0), share)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in before.items()
    }
    network.load_state_dict(mixed)
    return network.eval()
