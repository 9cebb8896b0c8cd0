"""What does a second view at half the size (`tta=large`) do, and what does it cost?

    python benchmarks/large_roofs.py score ANNOTATIONS IMAGES METRES [CATEGORY]    one row a place
    python benchmarks/large_roofs.py time [SCENE]                                  processor seconds, turn by turn

A place is what the names of pictures have before the first "_". `score` prints the IoU over all pixels, the recall
over the pixels of roofs above 1,000 m2, and the F1 of roofs at IoU 0.5, not taken apart and taken apart as by default:
of one view, and the difference that the second makes.
"""

import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from rooftop.coco import open_index, picture_path
from rooftop.evaluation.instances import annotated, shaped
from rooftop.inference import Predictor
from rooftop.inference.views import scale_factor, windowed, with_views
from rooftop.metrics.objects import match, object_counts
from rooftop.metrics.pixel import Counts, count, scores
from rooftop.polygons.roofs import Shaping
from rooftop.raster.picture import read_picture
from rooftop.raster.rasterise import decode
from rooftop.raster.scene import open_scene
from rooftop.raster.windows import Window
from rooftop.run import load

ROOT = Path(__file__).resolve().parents[1]
WAYS = (None, "large")
CUTS = (None, 0.8)  # polygons.separate
LARGE = 1000  # m2


def score(annotations, images, gsd, category=None):
    run, gsd, images = load(ROOT / "pretrained/rooftop-unet"), float(gsd), Path(images)
    predictor, index = Predictor(run), open_index(Path(annotations))
    kinds = [int(category)] if category else [one.id for one in index.categories]
    factor = scale_factor(gsd, run.card)
    pixels = defaultdict(lambda: [Counts(0, 0, 0, 0) for _ in WAYS])
    large = defaultdict(lambda: np.zeros((len(WAYS), 2)))
    objects = defaultdict(lambda: np.zeros((len(CUTS), len(WAYS), 3)))
    for i, name in enumerate(index.names):
        place = str(name).split("_")[0]
        picture = read_picture(picture_path(images, name))
        mask, valid = index.truth(i, [tuple(kinds)])
        truth = annotated([thing for thing in index.scored(i) if thing.category_id in kinds], *valid.shape)
        wide = [rle for rle, area in zip(truth.rles, truth.areas, strict=True) if area * gsd**2 > LARGE]
        roofs = decode(wide, *valid.shape) > 0 if wide else np.zeros(valid.shape, bool)
        for k, views in enumerate(WAYS):
            ask = with_views(windowed(predictor.forward), factor=factor, views=views)
            probability = ask(picture[None])[0]
            roof = probability[:1] >= run.card.threshold
            pixels[place][k] = pixels[place][k] + count(roof, mask, valid)
            large[place][k] += (roof[0] & roofs).sum(), roofs.sum()
            for cut, sums in zip(CUTS, objects[place], strict=True):
                found = shaped(
                    probability, run.card.targets, threshold=run.card.threshold, shaping=square(cut), gsd=gsd
                )[0]
                one = object_counts([match(found.as_found(), truth.as_truth(), max_dets=3000)]).total()
                sums[k] += one.tp, one.fp, one.fn
    print("| place | IoU | + | large roofs, recall | + | F1, not taken apart | + | F1, 0.8 | + |")
    print("|---|" + "---|" * 8)
    for place in sorted(pixels):
        pairs = [[scores(one)["iou"] for one in pixels[place]]]
        pairs += [[a / b if b else np.nan for a, b in large[place]]]
        pairs += [[2 * tp / (2 * tp + fp + fn) for tp, fp, fn in sums] for sums in objects[place]]
        print(f"| {place} |", " | ".join(f"{one:.3f} | {two - one:+.3f}" for one, two in pairs), "|", flush=True)


def square(cut):
    return Shaping(separate=cut, tolerance=1.0, angle=20.0, shift=2.0, min_area=10.0, min_hole=3.0)


def clock(scene=ROOT / "data/banepa/test_area.tif", rounds=5):
    predictor, side = Predictor(load(ROOT / "pretrained/rooftop-unet"), device="cpu"), 768
    with open_scene(str(scene)) as raster:
        picture = raster.read(Window(0, 0, side, side))[0][None]
    seconds = defaultdict(list)
    for turn in range(rounds + 1):
        for views in WAYS:
            ask, start = with_views(predictor.forward, factor=None, views=views), time.process_time()
            ask(picture)
            if turn:  # the first one warms up
                seconds[views].append(time.process_time() - start)
    one, large = (statistics.median(seconds[views]) for views in WAYS)
    print(f"{side} x {side} px: one view {one:.2f} s, large {large:.2f} s, ratio {large / one:.3f}")


if __name__ == "__main__":
    {"score": score, "time": clock}[sys.argv[1]](*sys.argv[2:])
