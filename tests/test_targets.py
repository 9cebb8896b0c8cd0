"""Touching roofs the whole way: a network that answers the true channels gives the true roofs, apart."""

import dataclasses
import json

import numpy as np
import pytest
import rasterio
import shapely
import torch
from PIL import Image
from pycocotools import mask as coco
from rasterio import Affine
from shapely import box

from rooftop.raster.rasterise import number
from rooftop.raster.targets import TARGETS
from rooftop.run import Card, load, save

ROOFS = (  # left, top, right, bottom: a row of four, one across it, one alone
    *((10, 10, 30, 34), (30, 10, 58, 34), (58, 10, 80, 30), (80, 10, 104, 34)),
    *((30, 34, 70, 62), (90, 50, 120, 72)),
)
HEIGHT, WIDTH = 80, 130
DRAWN = ("polygons=exact", "polygons.separate=0.85")


@pytest.fixture
def seer(tmp_path):
    """seer(targets) -> run folder whose network reads the truth off the picture: channel t of it is target t."""

    def make(*targets):
        network = torch.nn.Conv2d(3, len(targets), 1)
        with torch.no_grad():
            network.weight.copy_(40 * torch.eye(3)[: len(targets), :, None, None])
            network.bias.fill_(-20)
        node = {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": len(targets), "kernel_size": 1}
        preparation = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": None}
        folder = tmp_path / "-".join(("seer", *targets))
        save(folder, network, Card(node, preparation, ["building"], 0.5, targets=list(targets)))
        return folder

    return make


def picture(*targets):
    """The truth of ROOFS as colours, uint8 (H, W, 3)."""
    roofs = number([box(*roof) for roof in ROOFS], HEIGHT, WIDTH)
    channels = [TARGETS[name](roofs) * 255 for name in targets]
    return np.stack([*channels, *[channels[0]] * (3 - len(channels))], axis=-1)


@pytest.fixture
def source(tmp_path):
    """source(kind, targets) -> a picture, or a GeoTIFF in UTM 45 north of half a metre a pixel."""

    def make(kind, *targets):
        pixels, path = picture(*targets), tmp_path / f"town.{kind}"
        if kind == "png":
            Image.fromarray(pixels).save(path)
            return path
        place = {"crs": "EPSG:32645", "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_060_000)}
        size = {"count": 3, "height": HEIGHT, "width": WIDTH, "dtype": "uint8"}
        with rasterio.open(path, "w", driver="GTiff", **size, **place) as dataset:
            dataset.write(np.moveaxis(pixels, -1, 0))
        return path

    return make


def overlaps(results, annotated=ROOFS):
    """IoU of each true roof with the best outline, from COCO results."""
    found = [result["segmentation"] for result in results]
    true = [coco.encode(np.asfortranarray(number([box(*roof)], HEIGHT, WIDTH).astype(np.uint8))) for roof in annotated]
    return coco.iou(found, true, [0] * len(true)).max(axis=0)


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize(("extra", "least"), [("core", 0.85), ("edge", 0.93)])
def test_true_channels_give_the_true_roofs_apart(run_script, seer, source, tmp_path, kind, extra, least):
    run, town = seer("roof", extra), source(kind, "roof", extra)
    windows = ("window=48", "overlap=8")  # seams run through several roofs
    code, text = run_script("predict", f"run={run}", f"source={town}", "hydra.run.dir=out", *DRAWN, *windows)
    assert code == 0, text
    results = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert len(results) == len(ROOFS)
    assert overlaps(results).min() > least
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["pictures"][0]["roof_pixels"] == TARGETS["roof"](number([box(*r) for r in ROOFS], 80, 130)).sum()


def test_picture_and_windowed_scene_give_the_same_roofs(run_script, seer, source, tmp_path):
    run, found = seer("roof", "core"), []
    for kind, windows in (("png", ()), ("tif", ("window=48", "overlap=8")), ("tif", ("window=400", "overlap=0"))):
        town, out = source(kind, "roof", "core"), f"out{len(found)}"
        code, text = run_script("predict", f"run={run}", f"source={town}", f"hydra.run.dir={out}", *DRAWN, *windows)
        assert code == 0, text
        results = json.loads((tmp_path / out / "predictions.coco.json").read_text())
        found.append(sorted(result["segmentation"]["counts"] for result in results))
    assert found[0] == found[1] == found[2]


def test_the_same_roofs_without_more_targets_cling_together(run_script, seer, source, tmp_path):
    run, town = seer("roof"), source("png", "roof")
    assert run_script("predict", f"run={run}", f"source={town}", "hydra.run.dir=out", *DRAWN)[0] == 0
    results = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert overlaps(results).min() < 0.6


def test_probability_is_that_of_the_roof(run_script, seer, source, tmp_path):
    run, town = seer("roof", "core"), source("tif", "roof", "core")
    assert run_script("predict", f"run={run}", f"source={town}", "hydra.run.dir=out", *DRAWN)[0] == 0
    with rasterio.open(tmp_path / "out" / "probability.tif") as dataset:
        assert dataset.descriptions == ("building",)
        assert np.array_equal(dataset.read(1) > 100, picture("roof", "core")[..., 0] > 0)
    features = json.loads((tmp_path / "out" / "roofs.geojson").read_text())["features"]
    assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features)


def test_training_scores_the_roof_and_the_run_knows_its_targets(run_script, tiny, fast, tmp_path):
    extra = (*fast, f"data.root={tiny}", "data.targets=[roof,core]", "trainer.max_epochs=2", "hydra.run.dir=run")
    code, text = run_script("train", *extra)
    assert code == 0, text
    run = load(tmp_path / "run")
    assert run.card.targets == ["roof", "core"]
    assert run.card.network["classes"] == 2
    code, text = run_script("evaluate", "run=run", f"data.root={tiny}", "hydra.run.dir=scored", "bootstrap.rounds=2")
    assert code == 0, text
    scores = json.loads((tmp_path / "scored" / "scores.json").read_text())
    assert scores["pixel"]["iou"] == pytest.approx(run.card.scores["pixel"]["iou"], abs=1e-9)
    assert len(scores["object"]) > 5


def test_a_card_from_before_there_were_targets(trained):
    path = trained / "card.json"
    content = json.loads(path.read_text())
    del content["targets"]
    path.write_text(json.dumps(content))
    assert load(trained).card.targets == ["roof"]
    assert "targets" in dataclasses.asdict(load(trained).card)


def test_a_wrong_target_names_the_nearest_right_one(run_script, tiny, fast):
    code, text = run_script("train", *fast, f"data.root={tiny}", "data.targets=[roof,cor]")
    assert code == 2
    assert text.strip().endswith("error: data.targets: there is no target cor: did you mean core?")
