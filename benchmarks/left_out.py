"""What do weights score on sources of conf/data/open.yaml that were left out of their training?

    python train.py experiment=pretrained '~data.mix.austin' '~data.mix.zealand'
    python benchmarks/left_out.py RUN austin,zealand        after benchmarks/open_data.py DIR

Every picture of each source at its own metres per pixel, scaled as predict.py and evaluate.py scale, one view and the
mean of several, at two thresholds: the IoU over all pixels of the source. A GPU is used where there is one.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rooftop.data import RoofDataModule
from rooftop.inference import Predictor
from rooftop.inference.views import scale_factor, with_views
from rooftop.metrics.pixel import Counts, count, scores
from rooftop.run import load

CONF = Path(__file__).resolve().parents[1] / "conf"
THRESHOLDS = (0.3, 0.5)
WAYS = (None, "flips", "scales")


def main(run, names):
    predictor, source = Predictor(load(run)), opened(names.split(","))
    counts = defaultdict(lambda: np.full((len(WAYS), len(THRESHOLDS)), Counts(0, 0, 0, 0), object))
    pictures = defaultdict(int)
    for i, name in enumerate(source.names):
        part, gsd = name.split("/")[0], source.gsds[i]
        mask, valid = source.truth(i)
        picture = source.picture(i)[None]
        pictures[part] += 1
        for row, views in zip(counts[part], WAYS, strict=True):
            ask = with_views(predictor.forward, factor=scale_factor(gsd, predictor.run.card), views=views)
            roof = ask(picture)[0][:1]
            for k, threshold in enumerate(THRESHOLDS):
                row[k] = row[k] + count(roof >= threshold, mask[:1], valid)
    print(
        f"| IoU at {' / '.join(map(str, THRESHOLDS))} | pictures | one view | flips | scales |\n|---|---|---|---|---|"
    )
    for part, table in counts.items():
        cells = [" / ".join(f"{scores(one)['iou']:.3f}" for one in row) for row in table]
        print(f"| {part} | {pictures[part]} | {' | '.join(cells)} |", flush=True)


def opened(names):
    """The sources as one, with their names before those of the pictures."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        data = OmegaConf.to_container(compose("train", ["data=open"]).data, resolve=True)
    data["mix"] = {name: data["mix"][name] for name in names}
    return RoofDataModule(data).dataset("train").source


if __name__ == "__main__":
    main(*sys.argv[1:])
