"""Score a run on an annotated split: counts over the whole split, then scores.

python evaluate.py run=outputs/train/...                                   the run's own kind of data, test split
python evaluate.py run=outputs/train/... data=crowdai data.root=DIR split=val
"""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from rooftop.config import run_folder, script
from rooftop.data import RoofDataModule
from rooftop.evaluation import evaluate
from rooftop.inference import Predictor
from rooftop.run import load


@script
def main(cfg: DictConfig) -> None:
    """Load the run, predict the split, count, write scores.json."""
    run = load(cfg.run)
    config: Any = OmegaConf.to_container(cfg.data, resolve=True)
    dataset = RoofDataModule({**config, **run.card.preparation}).dataset(cfg.split)
    threshold = run.card.threshold if cfg.threshold is None else cfg.threshold
    evaluate(Predictor(run, device=cfg.device), dataset, run_folder(), split=cfg.split, threshold=threshold)


if __name__ == "__main__":
    main()
