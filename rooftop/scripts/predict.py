"""`predict.py` and `rooftop predict`: run folder + pictures, GeoTIFFs, addresses -> masks, outlines, summary."""

from omegaconf import DictConfig

from rooftop.config import plain, run_folder, script


@script
def main(cfg: DictConfig) -> None:
    """Find the sources, load the run, predict, write."""
    # late: torch takes seconds, and a mistyped key is reported before
    from rooftop.inference import Job, Machines, find_sources, launch, open_predictor, predict
    from rooftop.run import load

    sources = find_sources(cfg.source)
    run = load(cfg.run)
    job = Job.of(plain(cfg), run_folder())
    with launch(Machines(**cfg.trainer), job.folder) as processes:
        engine = {"device": processes.device, "engine": cfg.engine.name, "calibrate": cfg.calibrate}
        # the first process makes and stores an eight-bit model, the others wait and read it
        waits = cfg.engine.name == "int8" and not processes.first
        predictor = None if waits else open_predictor(run, **engine)
        processes.wait()
        predict(predictor or open_predictor(run, **engine), sources, job, processes)


if __name__ == "__main__":
    main()
