"""`predict.py` and `rooftop predict`: run folder + pictures, GeoTIFFs, addresses -> masks, outlines, summary."""

from pathlib import Path

from omegaconf import DictConfig

from rooftop.config import run_folder, script


@script
def main(cfg: DictConfig) -> None:
    """Find the sources, load the run, predict, write."""
    # late: torch takes seconds, and a mistyped key is reported before
    from rooftop.export import onnx_logits
    from rooftop.inference import Area, Job, Machines, Predictor, find_sources, launch, predict
    from rooftop.polygons.roofs import Shaping
    from rooftop.run import load

    sources = find_sources(cfg.source)
    run = load(cfg.run)
    job = Job(
        folder=run_folder(),
        threshold=cfg.threshold,
        shaping=Shaping(**cfg.polygons),
        window=cfg.window,
        overlap=cfg.overlap,
        batch=cfg.batch,
        views=cfg.tta,
        gsd=cfg.gsd,
        rescale=cfg.rescale,
        crs=cfg.crs,
        bands=tuple(cfg.bands) if cfg.bands else None,
        probability=cfg.probability,
        unfinished=Path(cfg.unfinished),
        area=Area.of(cfg.aoi, cfg.bbox),
    )
    with launch(Machines(**cfg.trainer), job.folder) as processes:
        logits = onnx_logits(run) if cfg.engine.name == "onnxruntime" else None
        predict(Predictor(run, device=processes.device, logits=logits), sources, job, processes)


if __name__ == "__main__":
    main()
