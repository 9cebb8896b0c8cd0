"""`adapt.py` and `rooftop adapt`: corrected squares -> run folder for a town, and scores before and after."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.progress import TaskID

from rooftop.config import plain, progress_bar, run_folder, script, shell_setting, typed_command

if TYPE_CHECKING:
    from rooftop.adaptation import Adapted, Recipe

log = logging.getLogger(__name__)


@script
def main(cfg: DictConfig) -> float | None:
    """Read the corrections, fine-tune, score on squares that were held out, write the run folder and the report."""
    from rooftop import adaptation, training  # late: torch takes seconds, which a mistyped key need not wait for
    from rooftop.polygons.roofs import Shaping
    from rooftop.tiling import find_rasters

    folder = run_folder()
    start, earlier = adaptation.open_start(Path(cfg.run))
    recipe = _recipe(cfg)
    adaptation.require_recipe(start, recipe)
    corrections = adaptation.read_corrections(
        [path for source in _listed(cfg.source) for path in find_rasters(source)],
        corrected=[Path(path) for path in _listed(cfg.corrected)],
        footprints=Path(cfg.footprints) if cfg.footprints else None,
        area=Path(cfg.area) if cfg.area else None,
        layer=cfg.layer,
        area_layer=cfg.area_layer,
        crs=cfg.crs,
    )
    found = adaptation.facts(corrections)
    for name, what in found.items():
        log.info("%s: %s", name, what)
    squares = adaptation.write_squares(folder / "squares", corrections, largest=cfg.largest, crs=cfg.crs)
    if earlier:
        squares = adaptation.with_earlier(folder / "squares", earlier)
        log.info("with those of earlier rounds: %d squares", len(squares))
    training.begin(cfg.seed)
    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, steps: int) -> Callable[[], None]:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=0)
            task = tasks[name]
            bar.update(task, total=steps + (bar.tasks[task].total or 0))
            return lambda: bar.advance(task)

        result = adaptation.adapt(
            start,
            folder,
            squares,
            recipe=recipe,
            folds=cfg.folds,
            shaping=Shaping(**cfg.polygons),
            device=cfg.device,
            progress=progress,
        )
    adaptation.write_report(folder / "report.html", result, found=found, start=str(start.folder))
    _print(result, folder, cfg)
    return result.scored_after.of("pixel.iou") if result.scored_after else None


def _recipe(cfg: DictConfig) -> "Recipe":
    from rooftop.adaptation import Recipe

    settings, parts = plain(cfg), ("augmentation", "loss", "optimizer", "scheduler")
    own = {field.name: settings[field.name] for field in dataclasses.fields(Recipe) if field.name != "parts"}
    return Recipe(**own, parts={name: settings[name] for name in parts})


def _print(result: "Adapted", folder: Path, cfg: DictConfig) -> None:
    """Print the scores and the next command."""
    from rooftop.adaptation import score_table, verdict

    Console().print(score_table(result))
    print(verdict(result, str(cfg.run)))
    source = shell_setting("source", _listed(cfg.source)[0])
    print(
        f"written: {folder}\nlook at: {folder / 'report.html'}\n"
        f"next:    {typed_command('predict')} {source} {shell_setting('run', folder)}"
    )


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(each) for each in value] if isinstance(value, ListConfig) else [str(value)]


if __name__ == "__main__":
    main()
