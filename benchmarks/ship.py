"""Which threshold do trained weights want, and what do they score? Makes a folder to ship out of a run.

    python benchmarks/ship.py RUN[,RUN...] [START]      after benchmarks/open_data.py DIR

Of several runs of one recipe the mean of the weights is taken (Wortsman et al. 2022, arXiv 2203.05482). START is a run
whose weights RUN began with: what ships lies halfway between the two, which keeps more of what START knows of other
places than RUN does (Wortsman et al. 2022, arXiv 2109.01903); targets that only RUN learned are RUN's.

The threshold is the lowest whose mean IoU over the sources the weights were trained on (at most 12 pictures of each,
scaled as predict.py scales them) is within a tenth of a point of the best: on ground never seen probabilities are
lower. The test ground has no say. Weights are written at 16 bit.
"""

import dataclasses
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rooftop.data import RoofDataModule
from rooftop.inference import Predictor
from rooftop.inference.outputs import scaled_by
from rooftop.inference.views import scale_factor, with_views
from rooftop.metrics.pixel import Counts, count, scores
from rooftop.raster.probability import STEP
from rooftop.run import load, save

CONF = Path(__file__).resolve().parents[1] / "conf"
SHIPPED = Path(__file__).resolve().parents[1] / "pretrained/rooftop-unet"
THRESHOLDS = np.arange(0.2, 0.61, 0.05).round(2)
MOST = 12  # pictures a source
PLATEAU = 0.001  # of IoU, by which thresholds may differ that count as equally good


def main(run_folders, start=None):
    run, *others = map(load, run_folders.split(","))
    for i, other in enumerate(others, 2):
        move(run.network, other.network, 1 / i)
    if start:
        move(run.network, load(start).network, 0.5)
    predictor = Predictor(run)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        data = OmegaConf.to_container(compose("train", ["data=open"]).data, resolve=True)
    module = RoofDataModule(data)
    threshold = best_threshold(predictor, module)
    test, total, gsd = module.dataset("test"), Counts(0, 0, 0, 0), data["mix"]["banepa"]["gsd"]
    for i in range(len(test)):
        total = total + count(roof(predictor, test.source.picture(i), gsd) >= threshold, *test.source.truth(i))
    measured = {"pixel": scores(total), "split": "test", "pictures": len(test), "threshold": threshold}
    measured |= {"scaled_by": scaled_by(scale_factor(gsd, run.card))}
    card = dataclasses.replace(run.card, threshold=threshold, scores=measured)
    save(SHIPPED, run.network.half(), card)
    print("test", {name: round(value, 4) for name, value in scores(total).items()}, "->", SHIPPED)


def move(network, other, share):
    """Move the weights of a network so much of the way to those of another, as far as that has them."""
    aims, state = other.state_dict(), network.state_dict()
    for name, weight in state.items():
        if weight.is_floating_point():
            shared = weight[: len(aims[name])] if weight.ndim else weight
            shared.lerp_(aims[name], share)
    network.load_state_dict(state)


def best_threshold(predictor, module):
    source, by_part = module.dataset("train").source, defaultdict(list)
    for i, name in enumerate(source.names):
        by_part[name.split("/")[0]].append(i)
    table = []
    for part, all_of_them in by_part.items():
        picks = [all_of_them[k] for k in np.unique(np.linspace(0, len(all_of_them) - 1, MOST).astype(int))]
        sums = [Counts(0, 0, 0, 0)] * len(THRESHOLDS)
        for i in picks:
            probability, (mask, valid) = roof(predictor, source.picture(i), source.gsds[i]), source.truth(i)
            sums = [one + count(probability >= t, mask, valid) for one, t in zip(sums, THRESHOLDS, strict=True)]
        table.append([scores(one)["iou"] for one in sums])
        print(f"{part:18}", " ".join(f"{value:.3f}" for value in table[-1]), flush=True)
    mean = np.mean(table, axis=0)
    print(f"{'mean':18}", " ".join(f"{value:.3f}" for value in mean), "at", THRESHOLDS.tolist())
    lowest = THRESHOLDS[np.flatnonzero(mean >= mean.max() - PLATEAU)[0]]
    return round(round(float(lowest) / STEP) * STEP, 6)  # a step of stored probabilities


def roof(predictor, picture, gsd):
    """Probability of roof, float32 (1, H, W), of a picture of so many metres per pixel."""
    return with_views(predictor.forward, factor=scale_factor(gsd, predictor.run.card), views=None)(picture[None])[0][:1]


if __name__ == "__main__":
    main(*sys.argv[1:])
