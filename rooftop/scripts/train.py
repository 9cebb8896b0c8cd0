"""`train.py` and `rooftop train`: data -> run folder."""

from omegaconf import DictConfig

from rooftop.config import in_sweep, run_folder, script


@script
def main(cfg: DictConfig) -> float:
    """Fit, test the best weights, write the run folder; returns the monitored score for sweepers."""
    from rooftop import training  # late: Lightning takes seconds, which a mistyped key need not wait for
    from rooftop.callbacks import History

    training.begin(cfg.seed)
    if not cfg.resume:
        training.require_fresh(run_folder(), again=in_sweep())
    data = training.make_data(cfg)
    task = training.make_task(cfg, data)
    card = training.make_card(cfg, task, data)
    history = History(run_folder(), monitor=cfg.monitor.name, mode=cfg.monitor.mode)
    trainer = training.make_trainer(cfg, run_folder(), card=card, history=history)
    training.fit_and_test(trainer, task, data, resume=bool(cfg.resume))
    return history.best[cfg.monitor.name]


if __name__ == "__main__":
    main()
