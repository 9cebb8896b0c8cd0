"""Which squares of a town should a person correct first? The rule of the layer `check_first` was chosen with this.

    python benchmarks/check_first.py FOLDER results.jsonl
    python benchmarks/check_first.py FOLDER results.jsonl --learn network --methods random ours --splits 1 --draws 2
    python benchmarks/check_first.py FOLDER results.jsonl --together
    python benchmarks/check_first.py --show results.jsonl curves.png

FOLDER holds scenes that the weights have not seen: `NAME.tif` beside `NAME.gpkg` (layer `roofs`: all roofs of the
scene, in the picture's CRS). The labels take the place of the person who corrects. A method chooses squares from what
the prediction knows, something learns from the truth inside them, and the gain over the start is measured on a third of
the squares, which no method may choose. What learns:

    head     a linear correction of the roof logit, from the features of the decoder's last three blocks (logistic
             regression with a ridge, after the start's logit): a tenth of a second, so that everything can be compared
    network  the whole network for a few steps: some 35 s of a core; also the F1 of roofs

Results are appended run by run; what is there is not done again. One core is enough.
"""

import argparse
import copy
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import geopandas
import matplotlib as mpl
import numpy as np
import rasterio
import shapely
import torch
from PIL import Image
from scipy import ndimage

from rooftop.config import settings_of
from rooftop.evaluation.instances import shaped
from rooftop.losses import bce, dice
from rooftop.polygons.roofs import Shaping
from rooftop.raster.rasterise import rasterise
from rooftop.raster.targets import TARGETS
from rooftop.run import load

WEIGHTS = Path(__file__).resolve().parents[1] / "pretrained" / "rooftop-unet"
SIDE = 44.0  # m, of a square
HELD_OUT = 1 / 3  # share of the squares that only judge
MARGIN = 24  # px of surroundings that the network sees around a square
STEPS, BATCH, WINDOW, RATE = 12, 6, 96, 6e-4  # of the network's training; the window is in px
STEP, RIDGE, BLOCKS = 4, 1000.0, 3  # of the head: every fourth pixel in both directions, decoder blocks that it reads
DRAWS = {"random": 5, "random, with roofs": 5}  # times per split; every other method is asked once
SMALLEST = 8.0  # m2: smaller cuts of roofs at the border of the judged ground are not asked for


class Scene:
    """A scene at the weights' metres per pixel, its truth, and what the start says of it.

    Attributes:
        picture: uint8 (H, W, 3).
        valid: bool (H, W).
        truth: uint8 (2, H, W), roof and core.
        roofs: true roofs, polygons in pixels.
        squares: (row from, row to, column from, column to) of each square, px.
        table: float (N,) by name, a value a square: what a method may look at.
    """

    def __init__(self, path, start):
        gsd = start.card.gsd
        with rasterio.open(path) as file:
            picture = np.moveaxis(file.read((1, 2, 3)), 0, -1)
            valid, inverse, native = file.dataset_mask() > 0, ~file.transform, metres_a_pixel(file)
        height, width = (round(n * native / gsd) for n in valid.shape)
        self.name, self.gsd = path.stem, gsd
        self.picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
        self.valid = np.asarray(Image.fromarray(valid).resize((width, height)))
        scale = width / valid.shape[1]
        numbers = np.zeros((height, width), np.int32)
        self.roofs = []
        for outline in geopandas.read_file(path.with_suffix(".gpkg"), layer="roofs").geometry:
            roof = shapely.transform(outline, lambda xy: np.column_stack(inverse * tuple(xy.T)) * scale)
            self.roofs.append(max(shapely.get_parts(shapely.make_valid(roof)), key=shapely.area))
            numbers[rasterise([self.roofs[-1]], height, width) > 0] = len(self.roofs)
        self.truth = np.stack([numbers > 0, TARGETS["core"](numbers) > 0]).astype(np.uint8)
        rows, columns = (np.linspace(0, n, round(n * gsd / SIDE) + 1).astype(int) for n in (height, width))
        boxes = [(a, b, c, d) for a, b in pairwise(rows) for c, d in pairwise(columns)]
        self.squares = [(a, b, c, d) for a, b, c, d in boxes if self.valid[a:b, c:d].mean() > 0.9]
        probability, self.features = predicted(start, self, range(len(self.squares)), start.network, features=True)
        self.table = described(self, probability, start.card.threshold)

    def inside(self, chosen):
        """Bool (H, W): valid ground of the chosen squares."""
        mask = np.zeros(self.valid.shape, bool)
        for i in chosen:
            a, b, c, d = self.squares[i]
            mask[a:b, c:d] = True
        return mask & self.valid


class Town:
    """Scenes side by side, three in a row, as if they were one."""

    def __init__(self, parts):
        self.name, self.parts = "town", parts
        self.squares = [square for part in parts for square in part.squares]
        side = max(max(part.valid.shape) for part in parts)
        for i, part in enumerate(parts):
            part.table["x"] += i % 3 * side
            part.table["y"] += i // 3 * side
        self.table = {name: np.concatenate([part.table[name] for part in parts]) for name in parts[0].table}


def metres_a_pixel(file):
    """Metres on the ground; Web Mercator is stretched by cosh(y / R) at the northing y."""
    middle = (file.bounds.bottom + file.bounds.top) / 2
    return abs(file.transform.a) / (np.cosh(middle / 6378137.0) if file.crs.to_epsg() == 3857 else 1.0)


def described(scene, probability, threshold):
    """What the prediction knows of each square, without the truth."""
    roof, grey = probability[0], scene.picture.mean(-1) / 255
    found = roof >= threshold
    layers = {"roof": found, "unsure": 4 * roof * (1 - roof), "edge": found & ~ndimage.binary_erosion(found)}
    layers |= {band: scene.picture[..., i] / 255 for i, band in enumerate("rgb")}
    table = {name: [layer[a:b, c:d].mean() for a, b, c, d in scene.squares] for name, layer in layers.items()}
    table["contrast"] = [grey[a:b, c:d].std() for a, b, c, d in scene.squares]
    table["x"] = [(c + d) / 2 for _, _, c, d in scene.squares]
    table["y"] = [(a + b) / 2 for a, b, _, _ in scene.squares]
    return {name: np.array(values, float) for name, values in table.items()}


# Methods: (table, pool, count, generator of random numbers) -> squares of the pool, in order


def drawn(table, pool, count, rng):
    return [int(i) for i in rng.permutation(pool)[:count]]


def most(name):
    """The squares with the largest values."""
    return lambda table, pool, count, rng: sorted(pool, key=lambda i: -table[name][i])[:count]


def spread(names, weight=None):
    """Greedy k-centre (Gonzalez 1985): the next square is the one farthest from those chosen, times its weight."""

    def choose(table, pool, count, rng):
        columns = [table[name][pool] for name in names]
        points = np.column_stack([(v - v.mean()) / (v.std() + 1e-9) for v in columns])
        weights = np.ones(len(pool)) if weight is None else table[weight][pool] + 1e-6
        chosen = [int(np.argmin(np.linalg.norm(points, axis=1) / weights))]
        while len(chosen) < count:
            distance = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1) * weights
            chosen.append(int(np.argmax(distance)))
        return [int(pool[i]) for i in chosen]

    return choose


def typical(names):
    """Greedy k-medians: the next square is the one that brings all others nearest to a chosen one.

    Distances are those of the standardised values. Unlike the greedy k-centre this chooses no outliers.
    """

    def choose(table, pool, count, rng):
        points = np.column_stack(
            [(table[n][pool] - table[n][pool].mean()) / (table[n][pool].std() + 1e-9) for n in names]
        )
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        nearest, chosen = np.full(len(pool), np.inf), []
        while len(chosen) < count:
            left = np.minimum(nearest[:, None], distances).sum(0)
            left[chosen] = np.inf
            chosen.append(int(np.argmin(left)))
            nearest = np.minimum(nearest, distances[:, chosen[-1]])
        return [int(pool[i]) for i in chosen]

    return choose


def with_roofs(method, least=0.05):
    """The method, on the squares with at least a share of roof."""

    def choose(table, pool, count, rng):
        rich = [i for i in pool if table["roof"][i] >= least]
        return method(table, rich if len(rich) >= count else most("roof")(table, pool, count, rng), count, rng)

    return choose


KINDS = ("roof", "unsure", "r", "g", "b", "contrast")
METHODS = {
    "random": drawn,
    "unsure first": most("unsure"),
    "roofs first": most("roof"),
    "spread over the ground": spread(("x", "y")),
    "spread over kinds": spread(KINDS),
    "spread over both": spread(("x", "y", *KINDS)),
    "unsure x spread": spread(("x", "y"), "unsure"),
    "random, with roofs": with_roofs(drawn),
    "spread over both, with roofs": with_roofs(spread(("x", "y", *KINDS))),
    "ours": with_roofs(typical(("x", "y", "roof"))),
}


# The network


def normalised(start, pictures):
    mean, std = (torch.tensor(start.card.preparation[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    image = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return ((image - mean) / std).contiguous(memory_format=torch.channels_last)


def predicted(start, scene, chosen, network, *, features=False):
    """Probabilities float32 (2, H, W), 0 outside the chosen squares, and features (pixels, C) of each square."""
    seen, hooks = {}, []
    for k, block in enumerate(network.decoder[-BLOCKS:] if features else ()):
        hooks.append(block.register_forward_hook(lambda _, __, out, k=k: seen.__setitem__(k, out)))
    side = max(max(b - a, d - c) for a, b, c, d in scene.squares) + 2 * MARGIN
    side += -side % network.multiple
    picture = np.pad(scene.picture, ((MARGIN, side), (MARGIN, side), (0, 0)), mode="reflect")
    out, columns = np.zeros((2, *scene.valid.shape), np.float32), []
    network.eval()
    for i in chosen:
        a, b, c, d = scene.squares[i]
        with torch.inference_mode():
            answer = network(normalised(start, picture[None, a : a + side, c : c + side])).sigmoid()[0].numpy()
        out[:, a:b, c:d] = answer[:, MARGIN : MARGIN + b - a, MARGIN : MARGIN + d - c]
        if features:
            rows, cols = np.arange(MARGIN, MARGIN + b - a, STEP), np.arange(MARGIN, MARGIN + d - c, STEP)
            maps = [(m[0].numpy(), side // m.shape[-1]) for m in seen.values()]
            taken = [m[:, rows // s][:, :, cols // s].reshape(len(m), -1).T for m, s in maps]
            columns.append(np.column_stack([*taken, answer[0][np.ix_(rows, cols)].ravel()]))
    for hook in hooks:
        hook.remove()
    return out, columns or None


def trained(start, scene, chosen, seed):
    """The network after a short training on the chosen squares alone, batch norm included."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = copy.deepcopy(start.network).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.2  # so that twelve steps replace the start's statistics
    known = scene.inside(chosen)
    for step in range(STEPS):
        warm, fall = min(1, (step + 1) / 3), 0.05 + 0.475 * (1 + np.cos(np.pi * step / STEPS))
        optimiser.param_groups[0]["lr"] = RATE * warm * fall
        picture, truth, valid = batch(scene, chosen, known, rng)
        logits = network(normalised(start, picture))
        loss = bce(logits, truth, valid) + dice(logits, truth, valid, smooth=1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def batch(scene, chosen, known, rng):
    """Random windows around points of the chosen squares, turned, mirrored, brighter or darker."""
    rows = []
    height, width = known.shape
    for _ in range(BATCH):
        a, b, c, d = scene.squares[chosen[rng.integers(len(chosen))]]
        y = int(np.clip(rng.uniform(a, b) - WINDOW / 2, 0, height - WINDOW))
        x = int(np.clip(rng.uniform(c, d) - WINDOW / 2, 0, width - WINDOW))
        at, turns, flip = np.s_[y : y + WINDOW, x : x + WINDOW], rng.integers(4), 1 - 2 * rng.integers(2)
        layers = scene.picture[at], np.moveaxis(scene.truth[(slice(None), *at)], 0, -1), known[at]
        picture, truth, valid = (np.rot90(layer, turns)[:, ::flip] for layer in layers)
        rows.append(((picture * rng.uniform(0.85, 1.15)).clip(0, 255).astype(np.uint8), truth, valid))
    picture, truth, valid = (np.stack(parts) for parts in zip(*rows, strict=True))
    return picture, torch.from_numpy(np.moveaxis(truth, -1, 1).copy()), torch.from_numpy(valid)


# What learns, and its scores on the judged squares


class Network:
    """The whole network, for a few steps."""

    def __init__(self, start, scene, test):
        self.start, self.scene, self.test = start, scene, test
        self.shaping = Shaping(**settings_of("predict", {"source": "x"})["polygons"]).with_likeness(start.card.likeness)
        self.judged = scene.inside(test)
        ground = shapely.union_all([shapely.box(c, a, d, b) for a, b, c, d in map(scene.squares.__getitem__, test)])
        true = shapely.intersection(np.array(scene.roofs), ground)
        self.true = true[shapely.area(true) * scene.gsd**2 >= SMALLEST]

    def before(self):
        """Scores of the start."""
        return self.scores(self.start.network)

    def after(self, chosen, seed):
        """Scores after learning from the chosen squares."""
        return self.scores(trained(self.start, self.scene, chosen, seed))

    def scores(self, network):
        """IoU of pixels, and F1 of roofs (IoU of 0.5 or more), cut at the judged squares as the true ones are."""
        probability, threshold = predicted(self.start, self.scene, self.test, network)[0], self.start.card.threshold
        targets, gsd = self.start.card.targets, self.scene.gsd
        found = shaped(probability, targets, threshold=threshold, shaping=self.shaping, gsd=gsd)[0].polygons
        tree, matched = shapely.STRtree(self.true), 0
        for roof in map(shapely.make_valid, found):
            shared = [
                (shapely.area(shapely.intersection(roof, self.true[j])), self.true[j].area) for j in tree.query(roof)
            ]
            matched += any(both >= 0.5 * (roof.area + area - both) for both, area in shared)
        f1 = 2 * matched / max(1, len(found) + len(self.true))
        return {"iou": overlap(probability[0][self.judged] >= threshold, self.scene.truth[0][self.judged]), "f1": f1}


class Head:
    """A linear correction of the roof logit from the decoder's features."""

    def __init__(self, start, scene, test):
        self.cut, self.test = np.log(start.card.threshold / (1 - start.card.threshold)), test
        self.features, self.logits, self.truth = [], [], []
        for part in getattr(scene, "parts", [scene]):
            self._add(part)

    def _add(self, scene):
        everything = np.concatenate(scene.features)
        mean, std = everything.mean(0), everything.std(0) + 1e-3
        for (a, b, c, d), values in zip(scene.squares, scene.features, strict=True):
            keep = scene.valid[a:b:STEP, c:d:STEP].ravel()
            scaled = ((values - mean) / std)[keep]
            p = np.clip(values[keep, -1], 1e-3, 1 - 1e-3)
            scaled[:, -1] = 1  # the last column was the probability
            self.features.append(scaled)
            self.logits.append(np.log(p / (1 - p)))
            self.truth.append(scene.truth[0, a:b:STEP, c:d:STEP].ravel()[keep].astype(np.float32))

    def before(self):
        """Scores of the start."""
        return self.scores(np.zeros(self.features[0].shape[1], np.float32))

    def after(self, chosen, seed):
        """Newton's method with curvature of at least 0.1 a pixel, on a quarter of the pixels, drawn by the seed."""
        x, logit, truth = (
            np.concatenate([rows[i] for i in chosen]) for rows in (self.features, self.logits, self.truth)
        )
        part = np.random.default_rng(seed).permutation(len(x))[: len(x) // 4]
        x, logit, truth = x[part], logit[part], truth[part]
        ridge, weights = RIDGE * np.eye(x.shape[1], dtype=np.float32), np.zeros(x.shape[1], np.float32)
        ridge[-1, -1] = 1.0
        for _ in range(4):
            p = 1 / (1 + np.exp(-logit - x @ weights))
            curvature = (x * np.maximum(p * (1 - p), 0.1)[:, None]).T @ x + ridge
            weights = weights + np.linalg.solve(curvature, x.T @ (truth - p) - ridge @ weights)
        return self.scores(weights)

    def scores(self, weights):
        """IoU of the sampled pixels."""
        ours = np.concatenate([self.logits[i] + self.features[i] @ weights for i in self.test]) >= self.cut
        return {"iou": overlap(ours, np.concatenate([self.truth[i] for i in self.test]))}


def overlap(ours, true):
    return float((ours & (true > 0)).sum() / max(1, (ours | (true > 0)).sum()))


def run(folder, results, asked):
    """Append what is not there yet: one line a place, split, method, count and draw."""
    start, learner = load(WEIGHTS), {"head": Head, "network": Network}[asked.learn]
    learn = asked.learn + (", one town" if asked.together else "")
    done = {key(row) for row in read(results)}
    paths = [path for path in sorted(Path(folder).glob("*.tif")) if path.stem not in asked.without.split(",")]
    scenes = (Scene(path, start) for path in paths)
    for scene in [Town(list(scenes))] if asked.together else scenes:
        for split in range(asked.splits):
            order = np.random.default_rng(split).permutation(len(scene.squares))
            test, pool = np.split(order, [round(len(order) * HELD_OUT)])
            place = learner(start, scene, test)
            before = place.before()
            for count, name in ((int(n), m) for n in asked.counts.split(",") for m in asked.methods or METHODS):
                for draw in range(min(asked.draws, DRAWS.get(name, 1))):
                    row = {"learn": learn, "place": scene.name, "split": split, "method": name, "count": count}
                    row |= {"draw": draw, "before": before}
                    if key(row) in done:
                        continue
                    chosen = METHODS[name](scene.table, pool, count, np.random.default_rng((split, draw)))
                    row["after"] = place.after(chosen, draw)
                    with Path(results).open("a") as file:
                        file.write(json.dumps(row) + "\n")
        print(scene.name, "done", flush=True)


def key(row):
    return tuple(row[name] for name in ("learn", "place", "split", "method", "count", "draw"))


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def show(results, picture):
    """Print the mean gain of every method, its ratio to random squares, and the spread over places; draw the curves."""
    mpl.use("Agg")
    from matplotlib import pyplot

    gains = defaultdict(lambda: defaultdict(list))
    for row in read(results):
        for score, value in row["after"].items():
            gains[row["learn"], score, row["method"], row["count"]][row["place"]].append(value - row["before"][score])
    kinds = list(dict.fromkeys(cell[:2] for cell in gains))
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(6 * len(kinds), 4.5), squeeze=False)
    for (learn, score), axis in zip(kinds, axes[0], strict=True):
        counts = sorted({cell[3] for cell in gains if cell[:2] == (learn, score)})
        names = [name for name in METHODS if (learn, score, name, counts[-1]) in gains]
        print(f"\n| {score}, {learn} | " + " | ".join(f"{n} squares" for n in counts) + " |")
        print("|---" * (1 + len(counts)) + "|")
        for name in names:
            cells, means = [], []
            for count in counts:
                of = {n: [np.mean(v) for v in gains[learn, score, n, count].values()] for n in (name, "random")}
                means.append(np.mean(of[name]))
                ratio, places = means[-1] / np.mean(of["random"]), f"{min(of[name]):+.3f} to {max(of[name]):+.3f}"
                cells.append(f"{means[-1]:+.4f} ({ratio:.2f} x; {places})")
            print(f"| {name} | " + " | ".join(cells) + " |")
            bold = {"random": ("black", 2.5), "ours": ("tab:red", 2.5)}.get(name, (None, 1))
            axis.plot([0, *counts], [0, *means], "o-", label=name, color=bold[0], linewidth=bold[1])
        axis.set(xlabel="corrected squares", ylabel=f"gain of {score}", title=f"{learn}: {score} on held-out ground")
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs=2, help="FOLDER results.jsonl, or with --show: results.jsonl curves.png")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--learn", choices=("head", "network"), default="head")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--draws", type=int, default=5, help="of random squares, a split")
    parser.add_argument("--counts", default="4,8,16")
    parser.add_argument("--methods", nargs="*", help="; ".join(METHODS))
    parser.add_argument("--together", action="store_true", help="head only: all places as one town")
    parser.add_argument("--without", default="", help="names of places to leave out, as a,b")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    show(*asked.paths) if asked.show else run(*asked.paths, asked)
