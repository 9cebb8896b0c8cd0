"""Jobs of a sweep: a status file each, so that a second start runs only unfinished jobs; the table at the end.

The table is read from the job folders. Jobs may therefore run under any Hydra launcher, also on other machines.
"""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from rooftop.config.paths import shell_setting
from rooftop.errors import ConfigError
from rooftop.files import atomic_write, read_json, visible, write_json

STATUS_FILE = "job.json"
STARTED, DONE, FAILED = "started", "done", "failed"  # a killed job stays "started"
SCORES = ("monitor", "iou", "f1", "precision", "recall", "roofs", "roof_share")
COLUMNS = ("job", "status", *SCORES, "seconds", "error")


def find_finished(folder: Path, sweep: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """Find the status of a finished job with the same overrides, in any folder of the sweep: job numbers can change.

    Args:
        folder: folder of the job about to run.
        sweep: folder of the sweep.
        overrides: overrides of the job about to run.

    Raises:
        ConfigError: the folder contains another finished job, which would be lost.
    """
    here = _done(folder)
    others = map(_done, job_folders(sweep)) if sweep.is_dir() else ()
    for known in chain([here], others):  # own folder first: in an unchanged sweep no other file is read
        if known and known["overrides"] == list(overrides):
            return known
    if here:
        raise ConfigError(
            f"{folder} contains another finished job of this sweep ({' '.join(here['overrides'])}); add new values "
            f"after the old ones, or choose another folder than {shell_setting('hydra.sweep.dir', sweep)}."
        )
    return None


def job_folders(sweep: Path) -> Iterator[Path]:
    """Yield the job folders of a sweep: with a status file, at any depth below it (`hydra.sweep.subdir=a/b`)."""
    for folder in visible(sweep):
        if (folder / STATUS_FILE).is_file():
            yield folder
        elif folder.is_dir() and not folder.is_symlink():
            yield from job_folders(folder)


def require_inside(folder: Path, sweep: Path) -> None:
    """Check that a job folder lies below the folder of its sweep, where the table is made from.

    Raises:
        ConfigError: it does not.
    """
    there, whole = (Path(os.path.normpath(path)) for path in (folder, sweep))
    if whole not in there.parents:
        raise ConfigError(
            f"hydra.sweep.subdir: {there} is not a folder inside of {shell_setting('hydra.sweep.dir', whole)}; "
            "choose another name, such as 'hydra.sweep.subdir=${hydra.job.num}'."
        )


def _done(folder: Path) -> dict[str, Any] | None:
    """Read the status of a job folder; None unless the job is done."""
    known: dict[str, Any] = read_json(folder / STATUS_FILE) if (folder / STATUS_FILE).is_file() else {"status": None}
    return known if known["status"] == DONE else None


def note(folder: Path, status: str, overrides: Sequence[str], **more: Any) -> None:
    """Write the status file of a job."""
    write_json(folder / STATUS_FILE, {"status": status, "overrides": list(overrides), **more})


def note_resumed(folder: Path, score: float | None) -> None:
    """Mark a resumed run as done if it is a job of a sweep, so that the sweep does not repeat it."""
    if (folder / STATUS_FILE).is_file():
        note(folder, DONE, read_json(folder / STATUS_FILE)["overrides"], score=score)


class SweepTable(Callback):  # type: ignore[misc]
    """Hydra callback: write `sweep.csv` into the sweep folder and print it; exit with code 1 if a job failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table; Hydra calls this once, after the last job."""
        folder = Path(config.hydra.sweep.dir)
        jobs = sorted((job.relative_to(folder) for job in job_folders(folder)), key=by_number)
        rows = [_row(folder, job) for job in jobs]
        if not rows:
            return
        varied = sorted({key for row in rows for key in row} - set(COLUMNS))
        scored = [name for name in SCORES if any(row.get(name) not in (None, "") for row in rows)]
        columns = ["job", *varied, "status", *scored, "seconds", "error"]
        with atomic_write(folder / "sweep.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        _show(rows, columns, folder)
        if any(row["status"] == FAILED for row in rows):
            sys.exit(1)


def by_number(job: Path) -> list[tuple[int, str]]:
    """Return the sort key of a job folder: numbers by value, other names behind them."""
    return [(int(name), "") if name.isdecimal() else (sys.maxsize, name) for name in job.parts]


def _row(sweep: Path, name: Path) -> dict[str, Any]:
    """Return the row of a job: its overrides, its status, and the scores in `scores.json` or `summary.json`."""
    job = sweep / name
    status = read_json(job / STATUS_FILE)
    row: dict[str, Any] = {"job": name.as_posix(), **{key: value for key, value in status.items() if key in COLUMNS}}
    pairs = (item.lstrip("+~").partition("=") for item in status["overrides"])
    row.update({key: value.strip("'") for key, _, value in pairs if key not in COLUMNS})
    scores, summary = job / "scores.json", job / "summary.json"
    if row["status"] == DONE and scores.is_file():
        content = read_json(scores)
        row |= {"monitor": content["monitor"]["value"]} if "monitor" in content else {}
        row.update({key: value for key, value in content["pixel"].items() if key in COLUMNS})
    if row["status"] == DONE and summary.is_file():
        row.update({key: value for key, value in read_json(summary).items() if key in COLUMNS})
    return row


def _show(rows: list[dict[str, Any]], columns: list[str], folder: Path) -> None:
    table = Table(title=f"sweep: {folder}")
    # on the screen: only columns with different values; the file has all
    differs = {column for column in columns if len({str(row.get(column, "")) for row in rows}) > 1}
    used = [column for column in columns if column in differs or column in ("job", "status", "monitor")]
    for column in used:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in used))
    Console().print(table)
    print(f"written: {folder / 'sweep.csv'}")


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
