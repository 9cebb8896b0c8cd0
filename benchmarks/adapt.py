"""What does adapt.py gain on ground of a town that nobody corrected?

    python benchmarks/adapt.py FOLDER SCENE,SCENE [SQUARES [SEED]]

FOLDER: for each scene SCENE.tif, a georeferenced picture, and SCENE.gpkg, all its true roofs. The scene is divided into
squares of about 59 m. SQUARES (12) of them, drawn at random, are checked, with the true roofs as the mapper's; all
others are the ground to judge by. Last column: every sixth of the embedded training tiles, to see what was forgotten.
"""

import logging
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import rasterio.warp
import shapely

from rooftop import training
from rooftop.adaptation import adapt, open_start, read_corrections, write_squares
from rooftop.adaptation.cross_validation import Scoring
from rooftop.adaptation.fine_tune import Recipe
from rooftop.adaptation.scores import difference, scored
from rooftop.config import data_of, settings_of
from rooftop.evaluation import Choice, of_runs
from rooftop.metrics.pixel import Counts, count, scores
from rooftop.polygons.roofs import Shaping
from rooftop.run import load

SIDE = 59.0  # metres of a square
EVERY = 6  # of the embedded tiles
START = "pretrained/rooftop-unet"
SETTINGS = settings_of("adapt", {"source": "scene"})
NAMES = ("steps", "batch_size", "window", "memory", "memory_share", "share", "average", "seed", "device")
PARTS = ("augmentation", "loss", "optimizer", "scheduler")
SHAPING = Shaping(**SETTINGS["polygons"])


def main(folder, scenes, number=12, seed=0):
    logging.disable(logging.WARNING)
    known = remembered(START)
    print(
        "| scene | seconds | threshold | cross-validated IoU, roof F1 | IoU of other ground: before, after | "
        f"roof F1: before, after | embedded tiles, {known:.3f} before |\n|---|---|---|---|---|---|---|"
    )
    for scene in scenes.split(","):
        with tempfile.TemporaryDirectory() as out:
            row = one(Path(folder), scene, int(number), int(seed), Path(out))
            print(f"| {scene} | {' | '.join(row)} | {remembered(out) - known:+.3f} |", flush=True)


def one(folder, scene, number, seed, out):
    checked, others = divided(folder / f"{scene}.tif", number, seed)
    squares = labelled(folder, scene, checked, out / "squares")
    training.begin(seed)
    start, _ = open_start(Path(START))
    recipe = Recipe(**{name: SETTINGS[name] for name in NAMES}, parts={name: SETTINGS[name] for name in PARTS})
    begin = time.monotonic()
    common = {"shaping": SHAPING, "device": "cpu", "progress": lambda name, steps: lambda: None}
    result = adapt(start, out, squares, recipe=recipe, folds=SETTINGS["folds"], **common)
    seconds = time.monotonic() - begin
    judged = labelled(folder, scene, others, out / "others")
    shaping = SHAPING.with_likeness(start.card.likeness)
    scoring = Scoring(start, out / "others", judged, shaping, "cpu", common["progress"])
    found = []
    for run in (start, load(out)):
        found.append(scored(scoring.cases(scoring.values(run.network), [run.card.threshold] * len(judged))))
    pairs = [[each.of(key) for each in found] for key in ("pixel.iou", "object.f1")]
    gains = [difference(result.scored_before, result.scored_after, key).value for key in ("pixel.iou", "object.f1")]
    return [
        f"{seconds:.0f}",
        f"{result.threshold:.2f}",
        f"{gains[0]:+.3f}, {gains[1]:+.3f}" + ("" if result.is_better else ": not better"),
        *(f"{before:.3f}, {after:.3f} ({after - before:+.3f})" for before, after in pairs),
    ]


def divided(path, number, seed):
    """Squares of a scene on the map: those to check, and all others."""
    with rasterio.open(path) as file:
        valid, place = file.dataset_mask() > 0, file.transform
    with rasterio.open(path) as file:
        wide = _metres(file)
    rows, columns = (np.linspace(0, side, round(side * wide / SIDE) + 1).astype(int) for side in valid.shape)
    cells = [
        shapely.box(*(place * (left, bottom)), *(place * (right, top)))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
        if valid[top:bottom, left:right].mean() > 0.9
    ]
    order = np.random.default_rng(seed).permutation(len(cells))
    return [cells[i] for i in order[:number]], [cells[i] for i in order[number:]]


def _metres(file):
    """Metres on the ground of a pixel, in a projected reference system that stretches like the web's Mercator."""
    center = rasterio.warp.transform(file.crs, "EPSG:4326", [file.bounds.left], [file.bounds.bottom])[1][0]
    return file.transform.a * (np.cos(np.radians(center)) if file.crs.to_epsg() == 3857 else 1)


def labelled(folder, scene, cells, out):
    """The tiles of some squares, with the true roofs."""
    with tempfile.TemporaryDirectory() as aside, rasterio.open(folder / f"{scene}.tif") as file:
        area = Path(aside, "area.gpkg")
        geopandas.GeoDataFrame(geometry=cells, crs=file.crs).to_file(area)
        truth = {"footprints": folder / f"{scene}.gpkg", "area": area}
        return write_squares(out, read_corrections([folder / f"{scene}.tif"], **truth))


def remembered(run):
    """IoU on embedded tiles that the start has learned."""
    choice = Choice("train", None, SHAPING, "cpu", None, rescale=True)
    cases = of_runs(
        [str(run)], data_of("banepa", val={"images": "images/test", "annotations": "annotations/test.json"}), choice
    )[0].cases
    total = Counts(0, 0, 0, 0)
    for row in cases.picks[::EVERY]:
        mask, valid = cases.source.truth(int(row))
        probability = cases.forward(cases.source.picture(int(row))[None])[0][:1]
        total = total + count(probability >= cases.decision.threshold, mask[:1], valid)
    return float(scores(total)["iou"])


if __name__ == "__main__":
    main(*sys.argv[1:])
