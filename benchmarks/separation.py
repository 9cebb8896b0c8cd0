"""How are touching roofs separated best, everywhere at once?

    python benchmarks/separation.py table SHARED_DATA [FOLDER]     F1 and AP50 of each place, by rule
    python benchmarks/separation.py settle SHARED_DATA [FOLDER]    weights of `separate=auto`, leaving out places

Places: those of `benchmarks/open_data.py`, which must have run (`outputs/open`), and South Tyrol. Only South Tyrol and
the Banepa test tiles are new to the included weights. FOLDER (`outputs/separation`) keeps the probabilities.

`settle` needs `pip install cma` (covariance matrix adaptation: Hansen 2016, The CMA evolution strategy: a tutorial) and
takes hours. A place counts by the mean of its F1 and AP50 above the better of the two fixed rules; what it loses
against them counts three times; a place with few roofs counts less.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from scipy import ndimage

from rooftop.coco import open_index, picture_path
from rooftop.evaluation.instances import annotated, shaped
from rooftop.inference import Predictor
from rooftop.inference.views import scale_factor, windowed, with_views
from rooftop.metrics.objects import match, object_counts, object_scores, overlaps, ranking
from rooftop.metrics.pixel import ratios
from rooftop.polygons.regions import LEARNED_AT, Likeness, by_likeness, by_ratio
from rooftop.polygons.roofs import SURER, Shaping
from rooftop.polygons.separate import basins, by_core, measured
from rooftop.raster.picture import read_picture
from rooftop.raster.probability import STEP, at_least, stored
from rooftop.raster.rasterise import decode
from rooftop.run import load

ROOT = Path(__file__).resolve().parents[1]
RULES = (None, 0.5, 0.8, "auto")
FIXED = (None, 0.8)
TOGETHER = {  # few roofs: one place
    "banepa_around": "banepa_test",
    "kitsap": "suburbs",
    "zealand": "suburbs",
    "tyrol": "europe",
    "vienna": "europe",
    "crowdai": "vegas",
    "crowdai_original": "vegas",
}
WEIGHTS = {"suedtirol": 3}  # nine places, and the only ones beside Banepa's test that are new to the network
GUESSED = ("whu", "europe", "spacenet", "africa", "africa_town", "philippines")  # seams of the truth: of open_data.py
WEIGHTS |= dict.fromkeys(GUESSED, 0.4)
LEAST = 10  # m2, of a roof
START = np.array([6, 0, 4, -1, 0, 2, -2, 0, 0, -2, 0, 0, 0, 0, 0, 0], float)  # not the card's: they know all places


def places(shared):
    """Name -> folder of pictures, annotations, metres per pixel, categories."""
    data = OmegaConf.load(ROOT / "conf/data/open.yaml")
    root = ROOT / data.root
    found = {name: (root / mix.images, root / mix.annotations, mix.gsd) for name, mix in data.mix.items()}
    found["banepa_test"] = root / data.test.images, root / data.test.annotations, 0.53
    found["suedtirol"] = shared / "suedtirol/images", shared / "suedtirol/annotation.json", 0.138
    return found


def pictures(place, predictor, folder):
    """Yield stored probabilities uint8 (2, H, W) of one view, and the true roofs, of each picture of a place."""
    images, annotations, gsd = place
    index = open_index(annotations)
    ask = with_views(windowed(predictor.forward), factor=scale_factor(gsd, predictor.run.card), views=None)
    for i, name in enumerate(index.names):
        kept = folder / f"{images.parent.name}_{images.name}_{i:03d}.npy"
        if not kept.exists():
            probability = ask(read_picture(picture_path(images, name))[None])[0]
            np.save(kept, stored(probability, np.ones(probability.shape[1:], bool)))
        values = np.load(kept)
        truth = annotated([each for each in index.scored(i) if each.category_id != 101], *values.shape[1:])
        yield values, truth  # 101: solar panels of South Tyrol


def table(shared, folder):
    run = load(ROOT / "pretrained/rooftop-unet")
    print("| place | roofs |", *(f"{rule} |" for rule in RULES))
    for name, place in places(shared).items():
        parts = {rule: [] for rule in RULES}
        for values, truth in pictures(place, Predictor(run, device="cpu"), folder):
            for rule in RULES:
                shaping = Shaping(rule, 1.0, 20.0, 2.0, LEAST, 3.0).with_likeness(run.card.likeness)
                probability = values * np.float32(STEP)
                targets, threshold = run.card.targets, run.card.threshold
                (found,) = shaped(probability, targets, threshold=threshold, shaping=shaping, gsd=place[2])
                parts[rule].append(match(overlaps(found.as_found(), truth.as_truth(), max_dets=1000)))
        cells = []
        for rule in RULES:
            f1 = ratios(object_counts(parts[rule]).total())["f1"]
            ap50 = object_scores([ranking(parts[rule])], max_dets=1000)["ap50"]
            cells.append(f"{f1:.3f} ({ap50:.3f}) |")
        print(f"| {name} | {sum(int(part.positives[0]) for part in parts[None]):,} |", *cells, flush=True)


class Component:
    """One connected part of a predicted mask: its graph, and how its basins overlap the true roofs.

    Attributes: regions; roof, crowd (N,): sums over the pixels of each basin; overlap (N, 1 + true roofs) pixels.
    """

    def __init__(self, mask, values, threshold, scale, truth, crowd):
        surer = [at_least(values[0], threshold + share * (1 - threshold)) & mask for share in SURER]
        surface = by_core(mask, values[1] * np.float32(STEP), values, surer=surer, scale=scale)
        names = basins(surface)
        self.regions = measured(surface, names)
        inside = mask > 0
        basin = np.searchsorted(self.regions.names, names[inside])
        self.known = np.unique(truth[inside])
        self.overlap = np.zeros((len(self.regions.names), len(self.known)), int)
        np.add.at(self.overlap, (basin, np.searchsorted(self.known, truth[inside])), 1)
        self.crowd = np.bincount(basin, crowd[inside], len(self.regions.names))

    def roofs(self, join):
        """Pixels, mean probability, crowd pixels and overlaps {true roof: pixels} of each joined roof."""
        roof = np.unique(join(self.regions), return_inverse=True)[1]
        sums = np.zeros((roof.max() + 1, 3 + len(self.known)))
        np.add.at(sums, roof, np.column_stack([self.regions.sums[:, :2], self.crowd, self.overlap]))
        for pixels, probability, crowd, *over in sums:
            yield pixels, probability / pixels, crowd, {k: n for k, n in zip(self.known, over, strict=True) if k and n}


def components(values, truth, threshold, gsd):
    """Components of one picture, and the areas of its true roofs (the first is the background)."""
    mask = at_least(values[0], threshold)
    labels, _ = ndimage.label(mask)
    roofs, crowd = np.zeros(mask.shape, int), np.zeros(mask.shape, bool)
    for number, (rle, is_crowd) in enumerate(zip(truth.rles, truth.crowd, strict=True), start=1):
        drawn = decode([rle], *mask.shape) > 0
        if is_crowd:
            crowd |= drawn
        else:
            roofs[drawn] = number
    boxes = enumerate(ndimage.find_objects(labels), start=1)
    found = [
        Component(
            (labels[box] == n).astype(np.uint8),
            values[(slice(None), *box)],
            threshold,
            LEARNED_AT / gsd,
            roofs[box],
            crowd[box],
        )
        for n, box in boxes
    ]
    return found, np.bincount(roofs.ravel())


def scores(place, join_of):
    """F1 and AP50 of the masks of a place: pictures of (components, areas of true roofs, metres per pixel)."""
    sure, hits, sought = [], [], 0
    for found, areas, gsd in place:
        roofs = [roof for each in found for roof in each.roofs(partial(join_of, pixel=gsd**2))]
        roofs = sorted((roof for roof in roofs if roof[0] * gsd**2 >= LEAST), key=lambda roof: -roof[1])
        taken = set()
        for pixels, probability, crowd, over in roofs:
            iou = {k: n / (pixels + areas[k] - n) for k, n in over.items() if k not in taken}
            best = max(iou, key=iou.get, default=None)
            hit = best is not None and iou[best] >= 0.5
            taken |= {best} if hit else set()
            if hit or crowd <= pixels / 2:
                sure.append(probability)
                hits.append(hit)
        sought += int((areas[1:] > 0).sum())
    hits = np.array(hits, bool)[np.argsort(-np.array(sure), kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best_beyond = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    reached = np.searchsorted(np.cumsum(hits) / max(sought, 1), np.linspace(0, 1, 101))
    return np.array([2 * hits.sum() / max(len(hits) + sought, 1), best_beyond[reached].mean()])


def fixed(regions, pixel, ratio):
    return np.zeros(len(regions.names), int) if ratio is None else by_ratio(regions, ratio)


def likeness_of(weights):
    return Likeness(tuple(weights[:9]), tuple(weights[9:]))


def worth(weights, names, graphs, best, roofs):
    """What `settle` minimises."""
    join = partial(by_likeness, likeness=likeness_of(weights))
    gains = np.array([(scores(graphs[name], join) - best[name]).mean() for name in names])
    return -np.average(
        gains + 2 * np.minimum(gains, 0),
        weights=[WEIGHTS.get(name, 1) * roofs[name] / (roofs[name] + 60) for name in names],
    )


def settle(shared, folder, evaluations=700):
    import cma

    predictor = Predictor(load(ROOT / "pretrained/rooftop-unet"), device="cpu")
    graphs = {}
    for name, place in places(shared).items():
        group = graphs.setdefault(TOGETHER.get(name, name), [])
        for values, truth in pictures(place, predictor, folder):
            group.append((*components(values, truth, predictor.run.card.threshold, place[2]), place[2]))
    roofs = {name: sum(int((areas[1:] > 0).sum()) for _, areas, _ in group) for name, group in graphs.items()}
    best = {
        name: np.max([scores(group, partial(fixed, ratio=ratio)) for ratio in FIXED], axis=0)
        for name, group in graphs.items()
    }
    scale = np.abs(START) / 3 + 0.3
    for left_out in (None, "banepa", *graphs):  # Banepa: its test and its other pictures together
        names = [name for name in graphs if left_out is None or not name.startswith(left_out)]
        search = cma.CMAEvolutionStrategy(START / scale, 0.3, {"seed": 1, "maxfevals": evaluations, "verbose": -9})
        search.optimize(lambda x, names=names: worth(x * scale, names, graphs, best, roofs))
        weights = search.result.xbest * scale
        join = partial(by_likeness, likeness=likeness_of(weights))
        print(f"left out: {left_out}", weights.round(3).tolist())
        for name in sorted({*graphs} - {*names}) or graphs:
            print(f"  {name}: {scores(graphs[name], join).round(3)}, better fixed {best[name].round(3)}", flush=True)


if __name__ == "__main__":
    action, shared, *folder = sys.argv[1:]
    folder = Path(*folder) if folder else ROOT / "outputs/separation"
    folder.mkdir(parents=True, exist_ok=True)
    {"table": table, "settle": settle}[action](Path(shared), folder)
