"""What a training on squares sees, and how the weights of several become one."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from rooftop.adaptation.fine_tune import Recipe, blended, data_config
from rooftop.adaptation.squares import Tile
from rooftop.config import settings_of
from rooftop.errors import ConfigError
from rooftop.run import load

SETTINGS = settings_of("adapt", {"source": "city.tif"})
NAMES = ("steps", "batch_size", "window", "memory", "memory_share", "share", "average", "seed", "device")


def recipe(**changed: object) -> Recipe:
    parts = {name: SETTINGS[name] for name in ("augmentation", "loss", "optimizer", "scheduler")}
    return Recipe(**{name: SETTINGS[name] for name in NAMES} | changed, parts=parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a_1.png", "a_2.png", "b_1.png"):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name)
    return tmp_path


def square(file: str, gsd: float, x: float = 0.0) -> Tile:
    """A tile of 32 x 32 px whose square, at `x` degrees, is all of it."""
    ring = [(0.0, 0.0), (32.0, 0.0), (32.0, 32.0), (0.0, 32.0), (0.0, 0.0)]
    ground = [(x, 0.0), (x + 0.1, 0.0), (x + 0.1, 0.1), (x, 0.1), (x, 0.0)]
    return Tile(file, "city.tif", gsd, 0, 0, 32, 32, 1, [ring], [ground])


def test_a_training_sees_its_squares_and_no_others(folder: Path) -> None:
    start = load("pretrained/rooftop-unet")
    config = data_config(start, folder, [square("a_1.png", 0.2), square("b_1.png", 0.4)], recipe(memory_share=0.25))
    fine, coarse, memory = (config["mix"][name] for name in ("squares_0", "squares_1", "memory"))
    assert (fine["gsd"], fine["skip"]) == (0.2, ["a_2", "b_1"])
    assert (coarse["gsd"], coarse["skip"]) == (0.4, ["a_1", "a_2"])
    weights = [part["weight"] for part in (fine, coarse, memory)]
    assert memory["gsd"] == 0.53
    assert weights[2] / sum(weights) == pytest.approx(0.25)
    assert config["targets"] == ["roof", "core"]
    assert config["mean"] == start.card.preparation["mean"]


def test_without_other_ground_there_are_only_squares(folder: Path) -> None:
    start = load("pretrained/rooftop-unet")
    config = data_config(start, folder, [square("a_1.png", 0.2)], recipe(memory=None))
    assert list(config["mix"]) == ["squares_0"]


@pytest.mark.parametrize("memory", ["masks", "bannepa"])
def test_other_ground_is_a_data_set_with_pictures(folder: Path, memory: str) -> None:
    with pytest.raises(ConfigError, match=f"memory={memory}: no data set"):
        data_config(load("pretrained/rooftop-unet"), folder, [square("a_1.png", 0.2)], recipe(memory=memory))


def network(weight: float, mean: float, count: int) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(1)
    with torch.no_grad():
        made.weight.fill_(weight)
        made.running_mean.fill_(mean)
        made.num_batches_tracked.fill_(count)
    return made


@pytest.mark.parametrize(("share", "weight", "mean"), [(0.0, 1.0, 0.0), (0.5, 2.0, 3.0), (1.0, 3.0, 6.0)])
def test_weights_lie_between_the_start_and_the_mean_of_the_trainings(share: float, weight: float, mean: float) -> None:
    start, states = network(1, 0, 7), [network(2, 4, 9).state_dict(), network(4, 8, 9).state_dict()]
    found = blended(start, states, share)
    assert (found.weight.item(), found.running_mean.item(), found.num_batches_tracked.item()) == (weight, mean, 7)
    assert (start.weight.item(), states[0]["weight"].item()) == (1.0, 2.0)  # left as they were
    assert not found.training
