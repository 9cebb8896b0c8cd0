"""Damaged cards: each loads well or ends in one sentence, at bounded memory."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from rooftop.errors import RooftopError
from rooftop.inference import Predictor
from rooftop.memory import peak_memory
from rooftop.run import load
from tests.mutate import deep, mutated

STORED_RUN = Path(__file__).parent / "golden" / "run"
PICTURE = np.random.default_rng(0).integers(0, 255, (40, 61, 3)).astype(np.uint8)
MOST_GROWTH = 2**30  # bytes: what all cards together may add to the peak memory of the process


@pytest.fixture
def run(tmp_path):
    """A copy of the stored run folder."""
    return Path(shutil.copytree(STORED_RUN, tmp_path / "run"))


def outcome(run: Path, text: str | bytes) -> str:
    """Write a card, load the run and predict; return the sentence of a refusal, or an empty string."""
    (run / "card.json").write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    try:
        probability = Predictor(load(run), device="cpu").probability(PICTURE)
    except RooftopError as error:
        said = str(error)
    else:
        said = ""
        assert probability.shape[1:] == PICTURE.shape[:2]
    assert not said or (str(run) in said and len(said) < 500 + len(str(run)))
    return said


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_damaged_card_is_one_sentence_or_a_good_run(run, count):
    card = json.loads((run / "card.json").read_text())
    before = peak_memory()
    said = [outcome(run, json.dumps(mutated(card, random.Random(seed)))) for seed in range(count)]
    assert peak_memory() - before < MOST_GROWTH
    assert count / 10 < sum(not sentence for sentence in said) < count / 2
    assert len({sentence.partition("card.json")[2] for sentence in said}) > count / 20


def test_damaged_bytes_of_a_card_are_one_sentence_or_a_good_run(run):
    text = (run / "card.json").read_bytes()
    for seed in range(200):
        rng = random.Random(seed)
        i = rng.randrange(len(text))
        pieces = (b"", bytes([rng.randrange(256)]), b"\\ud800", b"1e999", b"NaN", b"9" * 5000, text[i : i + 40] * 2)
        outcome(run, text[:i] + rng.choice(pieces) + text[i + rng.choice((0, 1, 20, len(text))) :])


def network(**values: object) -> dict[str, object]:
    """Another network in a card."""
    return {"network": {**json.loads((STORED_RUN / "card.json").read_text())["network"], **values}}


def preparation(**values: object) -> dict[str, object]:
    """Another preparation in a card."""
    return {"preparation": {"mean": [0.4] * 3, "std": [0.2] * 3, "size": None, **values}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"preparation": None}, "preparation: expected `object`, got `null`"),
        (preparation(mean=[0.4] * 4), "preparation.std: expected 4 channels as in preparation.mean, got 3"),
        (preparation(mean=[0.4], std=[0.2]), "preparation.bands: expected 1 channels"),
        (preparation(mean=["0.4"] * 3), "preparation: mean[0]: expected `float`, got `str`"),
        (preparation(std=[0.2, 0.2, 0.0]), "preparation: std[2]"),
        (preparation(size=[300_000, 300_000]), "preparation: size[0]"),
        (preparation(bands=[1, 2, 3]), "a low and a high number for each of bands"),
        (preparation(bands=[1, 2, 3], scale=[[0, 255]]), "preparation.scale: expected 3 channels"),
        (preparation(bands=[1, 2, 3], scale=[[255, 0]] * 3), "a low and a high number"),
        ({"categories": [5]}, "categories[0]: expected `str`, got `int`"),
        ({"categories": []}, "network.classes: expected 0"),
        ({"categories": ["a", "b"]}, "network.classes: expected 4"),
        ({"categories": ["a\0b"]}, "categories[0]"),
        ({"targets": ["core", "roof"]}, "targets: expected roof"),
        ({"threshold": 1}, "threshold: expected `float` < 1.0"),
        ({"gsd": -0.5}, "gsd"),
        ({"gsd_range": [0.7, 0.3]}, "gsd_range: expected the lower number first"),
        ({"gsd_range": [0.7]}, "gsd_range"),
        ({"likeness": {"seam": [1.0] * 8, "part": [1.0] * 7}}, "likeness.seam"),
        ({"likeness": {"seam": [1.0] * 9, "part": [1e9] * 7}}, "likeness.part"),
        ({"scores": {"iou": float("nan")}}, "JSON is malformed"),
        ({"scores": {"iou": deep()}}, "more than 8 lists and objects inside one another"),
        ({"data": {"a": [[[[[[[[[1]]]]]]]]]}}, "more than 8 lists and objects inside one another"),
        ({"created": 2026}, "created: expected `str`, got `int`"),
        ({"git": "a" * 2**20}, "more than 1,048,576 bytes"),
        (network(in_channels=4), "network.in_channels: expected 3 channels as in preparation.mean, got 4"),
        (network(classes=3), "does not fit the network of card.json"),
        (network(width=100_000), "the network is larger than model.safetensors; copy both from one run"),
        (network(width=10**30), "the network is larger"),
        (network(width=5), "does not fit the network of card.json; copy both from one run"),
        (network(width="4"), "copy the run folder again"),
        (network(activation="${oc.env:HOME}"), "activation=${oc.env:HOME} is unknown"),
        (network(_target_="torch.nn.Identity"), "does not fit the network"),
        (network(_target_="torch.nn.Transformer", num_encoder_layers=10**9), "network: "),
        (
            {"network": {"_target_": "torch.nn.Transformer", "d_model": 1, "nhead": 1, "num_encoder_layers": 10**9}},
            "the network is larger than model.safetensors",
        ),
        ({"network": {"_target_": "torch.nn.BatchNorm2d", "num_features": 10**10}}, "the network is larger"),
    ],
)
def test_a_wrong_value_is_named(run, change, said):
    card = json.loads((run / "card.json").read_text())
    before = peak_memory()
    assert said in outcome(run, json.dumps({**card, **change}))
    assert peak_memory() - before < MOST_GROWTH


def test_lists_beyond_any_depth_are_one_sentence(run):
    assert "recursion" in outcome(run, '{"scores": {"iou": ' + "[" * 100_000 + "]" * 100_000 + "}}")
