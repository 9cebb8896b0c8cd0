"""`make_synthetic.py` and `rooftop make-synthetic`: a seed -> pictures of made-up towns + COCO json."""

import logging
from typing import Any

from omegaconf import DictConfig

from rooftop.config import plain, progress_bar, run_folder, script, shell_setting, typed_command
from rooftop.errors import ConfigError
from rooftop.files import write_json
from rooftop.towns import Recipe, make_folder, make_scene

log = logging.getLogger(__name__)


@script
def main(cfg: DictConfig) -> None:
    """Draw what is missing, then say what there is and how to train on it."""
    folder, recipe = run_folder(), make_recipe(cfg)
    report: dict[str, Any] = {}
    with progress_bar() as bar:
        if cfg.count:
            towns = bar.add_task("towns", total=cfg.count)
            show = lambda done: bar.update(towns, completed=done)  # noqa: E731
            report |= make_folder(folder, recipe, cfg.count, processes=cfg.processes, progress=show)
        if cfg.scene:
            scene = bar.add_task("scene, px", total=cfg.scene**2)
            roofs = make_scene(folder, recipe, cfg.scene, progress=lambda pixels: bar.advance(scene, pixels))
            report["scene"] = {"pictures": 1, "buildings": roofs}
    write_json(folder / "report.json", report)
    for part, counts in report.items():
        log.info("%s: %s", part, ", ".join(f"{number:,} {what}" for what, number in counts.items()))
    if cfg.count:
        without = "".join(
            f" data.{split}=null" for split in ("val", "test") if not report.get(split, {}).get("pictures")
        )
        log.info(
            "next: %s data=synthetic %s data.gsd=%s%s",
            typed_command("train"),
            shell_setting("data.root", folder),
            cfg.gsd,
            without,
        )


def make_recipe(cfg: DictConfig) -> Recipe:
    """How the pictures look, checked."""
    shares = plain(cfg.shares)
    shares = {split: share for split, share in shares.items() if share > 0}
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"shares={dict(cfg.shares)} do not sum up to 1; correct them.")
    return Recipe(cfg.size, cfg.gsd, cfg.seed, cfg.density, shares)


if __name__ == "__main__":
    main()
