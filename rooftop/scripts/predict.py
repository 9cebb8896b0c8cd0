"""`predict.py` and `rooftop predict`: run folder + pictures, GeoTIFFs, addresses -> masks, outlines, summary."""

from omegaconf import DictConfig

from rooftop.config import plain, run_folder, script


@script
def main(cfg: DictConfig) -> None:
    """Find the sources, load the run, predict, write."""
    # late: torch takes seconds, and a mistyped key is reported before
    from rooftop.export import onnx_logits
    from rooftop.inference import Job, Machines, Predictor, find_sources, launch, predict
    from rooftop.run import load

    sources = find_sources(cfg.source)
    run = load(cfg.run)
    job = Job.of(plain(cfg), run_folder())
    with launch(Machines(**cfg.trainer), job.folder) as processes:
        logits = onnx_logits(run) if cfg.engine.name == "onnxruntime" else None
        predict(Predictor(run, device=processes.device, logits=logits), sources, job, processes)


if __name__ == "__main__":
    main()
