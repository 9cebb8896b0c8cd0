"""`check_data.py` and `rooftop check-data`: a data set -> its faults, and cleaned annotation files."""

import logging
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rooftop.audit import KINDS, Pairs, Shared, Split, audit_splits, summary, write_fixed, write_report
from rooftop.coco import Index, open_index, require_annotations
from rooftop.config import (
    data_settings,
    is_for_finetuning,
    plain,
    progress_bar,
    run_folder,
    script,
    shell_setting,
    typed_command,
)
from rooftop.data.calibrate import scale_of_readable, uncalibrated_layout
from rooftop.data.layout import check_layout, complete, refusal
from rooftop.data.splits import cells_of, places_of, share_place
from rooftop.errors import ConfigError, FaultError, brief
from rooftop.files import write_json
from rooftop.raster.mask_values import MaskValues
from rooftop.raster.reading import reading_of

log = logging.getLogger(__name__)
SHOWN = 3  # pictures named on the screen for each kind of error
APART, CROWDS, SHIFTS = ("copies", "places"), ("keep", "roofs"), ("keep", "move")
PRIORITY = ("test", "val", "train")  # a picture in two splits belongs to the first of these


@script
def main(cfg: DictConfig) -> None:
    """Audit the splits; write the reports and, with `fix`, the cleaned files."""
    data = plain(cfg.data)
    _check_settings(cfg, data)
    data["scale"] = scale_of_readable(data)
    folder, splits = run_folder(), open_splits(data)
    if cfg.fix and not any(split.index for split in splits):
        raise ConfigError(f"fix={cfg.fix} cleans annotation files, but data={data['name']} has masks; leave fix out.")
    shared = partial(share_place, pattern=data["place"]) if cfg.apart == "places" else None
    if cfg.fix and shared:
        for split in splits:
            shared([], split.names)  # an unsuitable pattern ends here, not after hours of work
    with progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            tasks.setdefault(what, bar.add_task(what, total=total) if what not in tasks else None)
            bar.update(tasks[what], completed=done)

        pairs = audit_splits(
            splits,
            folder / "facts",
            cells=cells_of,
            places=partial(places_of, pattern=data["place"]),
            gsd=data["gsd"],
            processes=cfg.processes,
            progress=show,
        )
    result = summary(splits) | {"bands": data["bands"], "scale": data["scale"]}
    write_json(folder / "report.json", result)
    write_report(folder / "report.html", data["name"], splits)
    if cfg.fix:
        result["fixed"] = fix(cfg, splits, pairs, shared)
        write_json(folder / "report.json", result)
        count = next((len(split.names) for split in splits if split.name == "train"), 0)
        log_next(data, Path(cfg.fix).resolve(), list(result["fixed"]), pictures=count)
    log_findings(splits)
    if result["errors"]:
        raise FaultError(f"{result['errors']} errors; the worst are shown in {folder / 'report.html'}")
    log.info("0 errors; report: %s", folder / "report.html")


def _check_settings(cfg: DictConfig, data: dict[str, Any]) -> None:
    for key, known in (("apart", APART), ("crowds", CROWDS), ("shifts", SHIFTS)):
        if cfg[key] not in known:
            raise ConfigError(f"{key}={cfg[key]}: choose one of {', '.join(known)}.")
    for key in ("crowds", "shifts"):
        if cfg[key] != "keep" and not cfg.fix:
            raise ConfigError(f"{key}={cfg[key]} needs fix=FOLDER, the folder for the changed annotations.")
    if data["mix"]:
        raise ConfigError(
            f"data={data['name']} is a mix of {len(data['mix'])} sources; check each one: data.mix=null "
            "'data.train={images: ..., annotations: ...}'"
        )


def fix(cfg: DictConfig, splits: list[Split], pairs: Pairs, shared: Shared | None) -> dict[str, dict[str, int]]:
    """Write the cleaned files and log what was kept; returns the counts by split."""
    keys = {"borders": cfg.borders, "crowds": cfg.crowds == "keep", "shifts": cfg.shifts == "move"}
    fixed = write_fixed(Path(cfg.fix), splits, pairs, shared=shared, **keys)
    for name, count in fixed.items():
        log.info("fix: %s: %s", name, ", ".join(f"{what.replace('_', ' ')} {n:,}" for what, n in count.items()))
    return fixed


def log_next(data: dict[str, Any], folder: Path, fixed: list[str], *, pictures: int) -> None:
    """Log the command that trains on the cleaned files, if `train.py` takes them; `pictures`: of the training split."""
    files = {f"data.{name}.annotations": folder / f"{name}.json" for name in fixed}
    cleaned = {name: {**data[name], "annotations": str(folder / f"{name}.json")} for name in fixed}
    if sentence := refusal(uncalibrated_layout({**data, **cleaned}), data["name"]):
        log.warning("train.py does not take the cleaned files yet: %s", sentence)
        return
    settings = [*data_settings(data["name"], without=files), *starmap(shell_setting, files.items())]
    log.info("next: %s %s", typed_command("train"), " ".join(settings))
    if is_for_finetuning(pictures, data["gsd"], rgb=not data["bands"]):
        how = "      or from the included weights, better with few pictures: %s experiment=finetune %s"
        log.info(how, typed_command("train"), " ".join(settings))


def open_splits(data: dict[str, Any]) -> list[Split]:
    """Open the splits of the data configuration, in order of priority."""
    root, parts = Path(data["root"]), {name: complete(data[name]) for name in PRIORITY if data[name]}
    reading = reading_of(data["bands"], data["scale"])
    values = MaskValues.of(data["roof_values"], data["ignored_values"])
    check_layout(root, parts)

    def index(part: dict[str, Any]) -> Index | None:
        if not part["annotations"]:
            return None
        opened = open_index(root / part["annotations"], cache=Path(data["cache"]))
        opened.channels(data["categories"])  # an unknown category ends here
        if part is parts.get("train"):
            require_annotations(opened, data["categories"])
        return opened

    return [
        Split(
            name,
            root / part["images"],
            index=index(part),
            masks=root / part["masks"] if part["masks"] else None,
            reading=reading,
            mask_values=values,
            categories=data["categories"],
        )
        for name, part in parts.items()
    ]


def log_findings(splits: list[Split]) -> None:
    """Log the number of findings of each kind, and the names of pictures with errors."""
    for split in splits:
        if split.shifts and split.shifts.sampled < split.shifts.labelled:
            numbers = f"{split.shifts.sampled:,} of {split.shifts.labelled:,}"
            log.info("%s: shifted labels were looked for in %s pictures with annotations", split.name, numbers)
        for kind, meaning in KINDS.items():
            if count := split.findings.count(kind):
                severity, names = ("error", _named(split, kind)) if meaning.is_error else ("note", "")
                names = f": {meaning.remedy}" if kind == "not judged" else names
                names = f": {_shifted(split)}. {meaning.remedy}" if kind == "label shift" else names
                log.info("%s: %s %s (%s)%s", split.name, f"{count:,}", kind, severity, names)


def _shifted(split: Split) -> str:
    """The largest shifts, each with a picture."""
    worst = split.findings.worst("label shift", SHOWN + 1)
    texts = [f"{brief(found.picture)} ({found.detail})" for found in worst[:SHOWN]]
    return "; ".join(texts) + " ..." * (len(worst) > SHOWN)


def _named(split: Split, kind: str) -> str:
    """Names of the pictures with the most severe findings of a kind; the details of findings about the whole file."""
    worst = split.findings.worst(kind, 1000)
    pictures = [*dict.fromkeys(brief(found.picture) for found in worst if found.picture)]
    shown = pictures or [found.detail for found in worst if found.annotation is None]
    return ": " * bool(shown) + ", ".join(shown[:SHOWN]) + " ..." * (len(shown) > SHOWN)


if __name__ == "__main__":
    main()
