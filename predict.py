"""Find rooftops in pictures: run folder + pictures -> masks, overlays, contact sheet, summary.

python predict.py run=outputs/train/... source=photo.jpg
python predict.py run=outputs/train/... source=FOLDER
"""

from omegaconf import DictConfig

from rooftop.config import run_folder, script
from rooftop.inference import Predictor, find_pictures, predict_pictures
from rooftop.run import load


@script
def main(cfg: DictConfig) -> None:
    """Find the pictures, load the run, predict, write."""
    pictures = find_pictures(cfg.source)
    run = load(cfg.run)
    threshold = run.card.threshold if cfg.threshold is None else cfg.threshold
    predict_pictures(Predictor(run, device=cfg.device), pictures, run_folder(), threshold=threshold)


if __name__ == "__main__":
    main()
