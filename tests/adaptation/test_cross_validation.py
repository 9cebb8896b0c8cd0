"""Cross-validation over squares: nothing that is scored was learned, and the run folder holds the mean of all."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rooftop.adaptation import verdict, write_report
from rooftop.adaptation.cross_validation import Adapted, adapt, open_start
from rooftop.adaptation.fine_tune import State
from rooftop.adaptation.squares import Tile
from rooftop.errors import ConfigError, RunError
from rooftop.models import UNet
from rooftop.polygons.roofs import Shaping
from rooftop.raster.probability import STEP
from rooftop.run import Card, Run, load, save
from tests.adaptation.test_fine_tune import recipe, square

SIZES = {"in_channels": 3, "classes": 1, "depth": 2, "width": 4}
NODE = SIZES | {
    "_target_": "rooftop.models.UNet",
    "norm": "batch",
    "activation": "relu",
    "dropout": 0.0,
    "upsampling": "bilinear",
}
PREPARATION = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": None}
SHAPING = Shaping(separate=None, tolerance=0, angle=None, shift=0, min_area=0, min_hole=0)
SIDE = 32


def constant(bias: float) -> State:
    """Weights of a network that answers the same everywhere."""
    state = {name: torch.zeros_like(tensor) for name, tensor in network().state_dict().items()}
    state["head.bias"] += bias
    return state


def network() -> UNet:
    return UNet(**{key: value for key, value in NODE.items() if key != "_target_"})


@pytest.fixture
def start(tmp_path: Path) -> Run:
    made = network()
    made.load_state_dict(constant(-3.0))  # finds nothing
    save(tmp_path / "start", made, Card(NODE, PREPARATION, ["building"], threshold=0.5, gsd=0.3))
    return load(tmp_path / "start")


@pytest.fixture
def squares(tmp_path: Path) -> list[Tile]:
    """Five squares far apart; all of each is one roof."""
    folder = tmp_path / "run" / "squares"
    (folder / "images").mkdir(parents=True)
    coco: dict = {"images": [], "annotations": [], "categories": [{"id": 100, "name": "building"}]}
    made = []
    for i in range(5):
        name = f"city_{i}.png"
        Image.new("RGB", (SIDE, SIDE), (i, 0, 0)).save(folder / "images" / name)
        ring = [0, 0, SIDE, 0, SIDE, SIDE, 0, SIDE]
        coco["images"].append({"id": i + 1, "file_name": name, "height": SIDE, "width": SIDE})
        coco["annotations"].append(
            {"id": i + 1, "image_id": i + 1, "category_id": 100, "segmentation": [ring], "area": SIDE**2, "iscrowd": 0}
        )
        made.append(square(name, 0.3, float(i)))
    (folder / "annotation.json").write_text(json.dumps(coco))
    return made


def adapted(start: Run, tmp_path: Path, squares: list[Tile]) -> Adapted:
    return adapt(
        *(start, tmp_path / "run", squares),
        recipe=recipe(steps=1),
        folds=3,
        shaping=SHAPING,
        device="cpu",
        progress=lambda name, steps: lambda: None,
    )


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Trainings that take no time; training k answers k + 1 everywhere. Yields the squares that each has learned."""
    learned: list[set[str]] = []

    def quick(start: Run, folder: Path, squares: Sequence[Tile], *_: object) -> State:
        learned.append({each.file for each in squares})
        return constant(float(len(learned)))

    monkeypatch.setattr("rooftop.adaptation.cross_validation.fine_tune", quick)
    return learned


def test_a_square_is_scored_by_weights_that_did_not_see_it(
    start: Run, squares: list[Tile], trained: list[set[str]], tmp_path: Path
) -> None:
    result = adapted(start, tmp_path, squares)
    assert result.after is not None
    for i, each in enumerate(squares):
        probability = result.after.values[i][0].mean() * STEP
        logit = np.log(probability / (1 - probability))
        (used,) = [k for k in range(3) if abs(logit - (-3 + k + 1) / 2) < 0.1]  # half start, half training
        assert each.file not in trained[used]
    assert set.union(*trained) == {each.file for each in squares}


def test_the_run_folder_holds_the_mean_of_all_trainings_and_both_scores(
    start: Run, squares: list[Tile], trained: list[set[str]], tmp_path: Path
) -> None:
    result = adapted(start, tmp_path, squares)
    run = load(tmp_path / "run")
    assert run.network.head.bias.item() == pytest.approx((-3 + 2) / 2)  # 2: the mean of 1, 2 and 3
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["before"]["pixel"]["iou"] == 0  # nothing found
    assert (scores["pixel"]["iou"], scores["object"]["f1"]) == (1, 1)
    assert scores["difference"]["pixel.iou"]["value"] == 1
    assert scores["is_better"] is True
    assert run.card.threshold == result.threshold == scores["threshold"]
    assert run.card.data["pictures"] == {"train": 5}
    write_report(tmp_path / "report.html", result, found={"roofs added": 2}, start="start")
    page = (tmp_path / "report.html").read_text()
    assert "city_4.png" in page
    assert "better on squares that they did not see" in page


def test_few_squares_are_learned_but_prove_nothing(
    start: Run, squares: list[Tile], trained: list[set[str]], tmp_path: Path
) -> None:
    result = adapted(start, tmp_path, squares[:3])
    assert trained == [{each.file for each in squares[:3]}]
    assert result.is_better is None
    assert "proven with 3 squares" in verdict(result, "start")
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert "pixel" not in scores
    assert scores["before"]["pixel"]["iou"] == 0
    write_report(tmp_path / "report.html", result, found={}, start="start")


def test_worse_weights_are_called_so(
    start: Run, squares: list[Tile], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start.network.load_state_dict(constant(2.0))  # finds all
    monkeypatch.setattr("rooftop.adaptation.cross_validation.fine_tune", lambda *_: constant(-8.0))
    result = adapted(start, tmp_path, squares)
    assert result.is_better is False
    assert "keep run=start" in verdict(result, "start")


def test_a_second_round_starts_where_the_first_one_did(
    start: Run, squares: list[Tile], trained: list[set[str]], tmp_path: Path
) -> None:
    adapted(start, tmp_path, squares)
    run, earlier = open_start(tmp_path / "run")
    assert run.folder == start.folder
    assert earlier == tmp_path / "run" / "squares"
    assert open_start(start.folder)[1] is None
    (tmp_path / "start").rename(tmp_path / "gone")
    with pytest.raises(RunError, match="begins where the first one did"):
        open_start(tmp_path / "run")


def test_runs_that_squares_cannot_teach_are_refused(start: Run, tmp_path: Path) -> None:
    for name, card, message in (
        ("two", dataclasses.replace(start.card, categories=["a", "b"], network=NODE | {"classes": 2}), "2 categories"),
        ("fixed", dataclasses.replace(start.card, preparation=PREPARATION | {"size": [64, 64]}), "to one size"),
    ):
        made = UNet(**{key: value for key, value in card.network.items() if key != "_target_"})
        save(tmp_path / name, made, card)
        with pytest.raises(ConfigError, match=message):
            open_start(tmp_path / name)
