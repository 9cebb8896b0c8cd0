"""`evaluate.py` and `rooftop evaluate`: run folder or COCO files + annotations -> scores and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig

from rooftop.config import data_of_run, run_folder, script
from rooftop.errors import ConfigError

if TYPE_CHECKING:
    from rooftop.evaluation import Subject


@script
def main(cfg: DictConfig) -> None:
    """Score each system and write its files; compare if there are several."""
    from rooftop import evaluation  # late: torch takes seconds to import, a mistyped key is answered before

    settings = evaluation.Settings(
        cfg.max_dets, cfg.bootstrap.rounds, cfg.bootstrap.seed, cfg.as_published, cfg.examples
    )
    scored = {}
    for subject in (subjects := _subjects(cfg)):
        folder = run_folder() / subject.name if len(subjects) > 1 else run_folder()
        result = scored[subject.name] = evaluation.evaluate_split(subject.cases, folder, settings, subject.record)
        evaluation.write_scores(folder / "scores.json", result)
        evaluation.write_per_image(folder / "per_image.csv", result.counts)
        evaluation.write_report(folder / "report.html", result, subject.cases)
        evaluation.print_scores(result, folder)
    if len(scored) > 1:
        evaluation.write_comparison(run_folder(), evaluation.systems_of(scored))


def _subjects(cfg: DictConfig) -> "list[Subject]":
    from rooftop import evaluation
    from rooftop.polygons.roofs import Shaping

    if cfg.predictions:
        for key in ("run", "compare", "threshold", "tta"):
            if cfg[key] is not None:
                raise ConfigError(
                    f"{key}= is for runs, not for predictions=; leave it out, or name several files: [A,B]."
                )
        cache = Path(cfg.data.cache)
        given = {"images": cfg.images, "cache": cache, "gsd": cfg.gsd}
        return evaluation.of_files(_listed(cfg.predictions), cfg.annotations, **given)
    if cfg.gsd is not None:
        raise ConfigError("gsd= is for predictions=; the metres per pixel of a run's pictures are data.gsd=.")
    runs = evaluation.find_runs([*_listed(cfg.run), *_listed(cfg.compare)])
    data = data_of_run(cfg, runs[0]) if runs else {}
    shaping = Shaping(**cfg.polygons)
    choice = evaluation.Choice(
        cfg.split, cfg.threshold, shaping, cfg.device, cfg.tta, cfg.rescale, engine=cfg.engine.name
    )
    return evaluation.of_runs(runs, data, choice)


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(each) for each in value] if isinstance(value, ListConfig) else [str(value)]


if __name__ == "__main__":
    main()
