"""`make_tiles.py` and `rooftop make-tiles`: orthophotos + footprints -> pictures + COCO json."""

import logging
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TaskProgressColumn

from rooftop.config import is_for_finetuning, plain, run_folder, script, shell_setting, typed_command
from rooftop.errors import ConfigError
from rooftop.files import write_json
from rooftop.raster.georeference import parse_system
from rooftop.tiling import Tiles, Tiling, find_rasters, open_layer
from rooftop.vector.layers import Layer

log = logging.getLogger(__name__)
NAMED = 1000  # features left out that the report names, for each reason
BAR = ("{task.description}", SpinnerColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))


@script
def main(cfg: DictConfig) -> None:
    """Cut the rasters; log the counts and the commands to check and train."""
    folder, plan = run_folder(), tiling(cfg)
    layer = open_layer(Path(cfg.footprints), cfg.layer, cfg.where)
    tiles = Tiles(find_rasters(cfg.source), layer, folder, plan, area_of(cfg))
    if layer.is_default and layer.where:
        log.info(
            "OpenStreetMap: only features with a building tag are taken, where=\"%s\"; where='' takes all", layer.where
        )
    with Progress(*BAR) as bar:
        tasks = {split: bar.add_task(split, total=None) for split in plan.shares}
        tiles.write(lambda split: bar.advance(tasks[split]))
    made = {split: dict(counts) for split, counts in tiles.made.items()}
    left_out = dict(tiles.left_out) | {reason: len(names) for reason, names in tiles.features.items()}
    names = {reason: sorted(found, key=str)[:NAMED] for reason, found in tiles.features.items()}
    write_json(folder / "report.json", {"made": made, "left_out": left_out, "features": names})
    for split, counts in made.items():
        log.info("%s: %s", split, ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    for reason, count in left_out.items():
        examples = ", ".join(map(str, names.get(reason, [])[:3]))
        log.info("left out: %s %s%s", f"{count:,}", reason, f", e.g. {examples}" if examples else "")
    if not any(counts.get("buildings") for counts in made.values()):
        log.warning("not one building lies on the tiles: do footprints and source show the same ground?")
    how = arguments(tiles)
    log.info("next: %s %s", typed_command("check_data"), how)
    scored = f"{typed_command('evaluate')} run=RUN" + ("" if "test" in made else " split=val")
    log.info("      %s %s", typed_command("train") if "train" in made else scored, how)
    gsd = max(tiles.gsds, default=None)
    if is_for_finetuning(made.get("train", {}).get("tiles", 0), gsd, rgb=tiles.is_rgb):
        more = "      or from the included weights, better with few tiles: %s experiment=finetune %s"
        log.info(more, typed_command("train"), how)


def arguments(tiles: Tiles) -> str:
    """Return the overrides for these tiles on the command line of the other scripts."""
    bands = ",".join(str(band + 1) for band in range(tiles.channels))
    how = (
        f"data={'tiles' if tiles.is_rgb else f'bands data.bands=[{bands}]'} {shell_setting('data.root', tiles.folder)}"
    )
    without = [f" data.{split}=null" for split in ("train", "val", "test") if split not in tiles.made]
    coarsest, finest = max(tiles.gsds), min(tiles.gsds)
    if coarsest > 1.1 * finest:
        log.warning("the rasters have %.3g to %.3g metres per pixel; gsd=METRES brings them to one.", finest, coarsest)
        return how + "".join(without)
    return f"{how} data.gsd={(finest + coarsest) / 2:.3g}{''.join(without)}"


def area_of(cfg: DictConfig) -> Layer | None:
    """Open the area that is judged; None: everywhere."""
    if cfg.area is None:
        if cfg.area_layer:
            raise ConfigError(f"area_layer={cfg.area_layer}: of which file? Name it by area=FILE, or leave this out.")
        return None
    return open_layer(Path(cfg.area), cfg.area_layer, "", which="layers; say which is the area: area_layer=")


def tiling(cfg: DictConfig) -> Tiling:
    """Validate the settings of the cut."""
    shares = plain(cfg.shares)
    shares = {split: share for split, share in shares.items() if share > 0}
    if abs(sum(shares.values()) - 1) > 1e-6 or not shares:
        raise ConfigError(f"shares={dict(cfg.shares)} do not sum up to 1; correct them.")
    if not 0 <= cfg.overlap < cfg.size:
        raise ConfigError(f"overlap={cfg.overlap} must be at least 0 and less than size={cfg.size}.")
    if cfg.crs:
        parse_system(cfg.crs)
    return Tiling(cfg.size, cfg.overlap, cfg.gsd, cfg.crs, cfg.min_valid, cfg.min_area, shares)


if __name__ == "__main__":
    main()
