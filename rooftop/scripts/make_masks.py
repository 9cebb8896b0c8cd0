"""`make_masks.py` and `rooftop make-masks`: annotations -> one mask file for each picture."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rooftop.coco import Index, MaskFolder, MaskReport, choose_channels, open_index, require_learnable, unpaired
from rooftop.config import data_settings, plain, progress_bar, run_folder, script, shell_setting, typed_command
from rooftop.data.calibrate import uncalibrated_layout
from rooftop.data.layout import check_entries, check_layout, complete, draw, make_layout, refusal
from rooftop.files import write_json

log = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")


@script
def main(cfg: DictConfig) -> None:
    """Make the masks of each split, then report masks made, masks skipped, and the reasons."""
    data = plain(cfg.data)
    root, splits = Path(data["root"]), {name: complete(data[name]) for name in SPLITS if data[name]}
    if cfg.init:
        make_layout(root, splits)
        log.info("copy pictures and annotations into this folder tree:\n%s", draw(root, splits))
        return
    check_layout(root, splits)
    report: dict[str, Any] = {}
    chosen = choose(splits, data)
    for name, part in splits.items():
        if name in chosen:
            index, categories = chosen[name]
            report[name] = report_split(name, index, make(name, index, categories, cfg), root / part["images"])
        else:
            report[name] = {"skipped": f"has masks of its own in {part['masks']}"}
    write_json(run_folder() / "report.json", report)
    log_next(data, limit=cfg.limit)


def choose(splits: dict[str, dict[str, Any]], data: dict[str, Any]) -> dict[str, tuple[Index, list[int]]]:
    """Open the annotations of each split and choose the categories to draw: those of the training.

    Raises:
        DataError: a split has nothing to draw, or lists a picture twice.
    """
    chosen: dict[str, tuple[Index, list[int]]] = {}
    names: list[str] = []
    for name, part in splits.items():
        if not part["annotations"]:
            continue
        index = open_index(Path(data["root"]) / part["annotations"], cache=Path(data["cache"]))
        check_entries(index)
        channels = choose_channels(index, data["categories"], names)
        require_learnable(index, channels, named=bool(data["categories"]) and name == "train")
        by_id = {category.id: category.name for category in index.categories}
        names = names or [by_id[channel[0]] for channel in channels]
        chosen[name] = index, [i for channel in channels for i in channel]
    return chosen


def log_next(data: dict[str, Any], *, limit: int | None) -> None:
    """Log the command that trains on the masks, if `train.py` takes them."""
    if limit is not None:
        log.info("next: the same without limit=%d; training needs the masks of all pictures", limit)
        return
    layout = replace(uncalibrated_layout(data), masks=run_folder())
    if sentence := refusal(layout, data["name"]):
        log.warning("train.py does not take these masks yet: %s", sentence)
        return
    settings = [*data_settings(data["name"], without=["data.masks"]), shell_setting("data.masks", run_folder())]
    log.info("next: %s %s", typed_command("train"), " ".join(settings))


def make(split: str, index: Index, categories: list[int], cfg: DictConfig) -> MaskReport:
    """Make the masks of a split with a progress bar."""
    masks = MaskFolder(index, categories, run_folder() / split)
    with progress_bar() as bar:
        task = bar.add_task(split, total=None)
        show = lambda done, todo: bar.update(task, completed=done, total=todo)  # noqa: E731
        return masks.make(cfg.limit, processes=cfg.processes, progress=show)


def report_split(split: str, index: Index, masks: MaskReport, images: Path) -> dict[str, Any]:
    """Log the summary of a split and return its part of the report."""
    files = unpaired(images, index.names)
    log.info("%s: %d masks made, %d kept, %d pictures beyond the limit", split, masks.made, masks.kept, masks.left)
    log.info("%s: %s", split, index.rejected)
    if len(index.damaged):
        log.info("%s: %s", split, index.damaged)
    log.info("%s: %d entries without file, %d files without entry", split, len(files.missing), len(files.extra))
    return {
        "made": masks.made + masks.kept,  # of a resumed run, too: what the set holds
        "skipped": {"beyond the limit": masks.left},
        "annotations_left_out": {"counts": dict(index.rejected.counts), "listed": list(index.rejected.listed)},
        "boxes_not_judged": index.rejected.boxed,
        "annotations_used_in_part": {"counts": dict(index.damaged.counts), "listed": list(index.damaged.listed)},
        "entries_without_file": files.missing,
        "files_without_entry": files.extra,
    }


if __name__ == "__main__":
    main()
