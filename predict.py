"""Find rooftops: run folder + pictures, GeoTIFFs or addresses of them -> masks, outlines for maps, summary.

python predict.py source=photo.jpg                          with the weights that ship
python predict.py source=city.tif run=outputs/train/...     with your own
python predict.py source=city.tif trainer.devices=4         on four GPUs, which share its windows
python predict.py -m 'source=glob(city/*.tif)'              a job a file; hydra/launcher=... sends them out
"""

from pathlib import Path

from omegaconf import DictConfig

from rooftop.config import run_folder, script


@script
def main(cfg: DictConfig) -> None:
    """Find the sources, load the run, predict, write."""
    # late: torch takes seconds, which a mistyped key need not wait for
    from rooftop.export import onnx_logits
    from rooftop.inference import Job, Machines, Predictor, Tiling, find_sources, launch, predict
    from rooftop.polygons.roofs import Shaping
    from rooftop.run import load

    sources = find_sources(cfg.source)
    run = load(cfg.run)
    job = Job(
        folder=run_folder(),
        single=len(sources) == 1,
        categories=tuple(run.card.categories),
        targets=tuple(run.card.targets),
        threshold=run.card.threshold if cfg.threshold is None else cfg.threshold,
        shaping=Shaping(**cfg.polygons),
        tiling=Tiling(cfg.window, cfg.overlap, cfg.batch),
        views=cfg.tta,
        gsd=cfg.gsd,
        rescale=cfg.rescale,
        bands=tuple(cfg.bands) if cfg.bands else None,
        probability=cfg.probability,
        unfinished=Path(cfg.unfinished),
    )
    with launch(Machines(**cfg.trainer), job.folder) as processes:
        logits = onnx_logits(run) if cfg.engine.name == "onnxruntime" else None
        predict(Predictor(run, device=processes.device, logits=logits), sources, job, processes)


if __name__ == "__main__":
    main()
