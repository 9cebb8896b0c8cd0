"""Jobs of a sweep: a status file each, so that a second start runs only unfinished jobs; the table at the end.

The table is read from the job folders. Jobs may therefore run under any Hydra launcher, also on other machines.
"""

import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rooftop.config.paths import shell_setting
from rooftop.errors import ConfigError
from rooftop.files import atomic_write, read_json, visible, write_json

STATUS_FILE = "job.json"
STARTED, DONE, FAILED = "started", "done", "failed"  # a killed job stays "started"
SCORES = ("monitor", "iou", "f1", "precision", "recall", "roofs", "roof_share")
COLUMNS = ("job", "status", *SCORES, "seconds", "error")
MOST_LETTERS = 24  # of a value on the screen


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


def claim_folder(sweep: Path, number: int, overrides: Sequence[str]) -> str:
    """Find the folder of a job in its sweep: the one that has its overrides, or else the first free number.

    Numbers of jobs move when an axis grows; folders do not, so that each job finds its own, and a new one takes no
    other's. Several processes may claim folders at the same time.

    Args:
        sweep: folder of the sweep.
        number: of the job, tried first.
        overrides: of the job.

    Returns:
        Path of the folder below `sweep`; its status file is there.
    """
    wanted = list(overrides)
    here = sweep / str(number)
    if _overrides_in(here) == wanted:  # in an unchanged sweep no other file is read
        return str(number)
    taken = list(job_folders(sweep)) if sweep.is_dir() else []
    for folder in taken:
        if _overrides_in(folder) == wanted:
            return folder.relative_to(sweep).as_posix()
    for free in chain([number], count(len(taken))):
        if _claimed(sweep / str(free), wanted) or _overrides_in(sweep / str(free)) == wanted:
            return str(free)
    raise AssertionError


def _claimed(folder: Path, overrides: list[str]) -> bool:
    """Write the status file of a new job, unless there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as inside:
        part = Path(inside) / STATUS_FILE
        write_json(part, {"status": STARTED, "overrides": overrides})
        try:
            os.link(part, folder / STATUS_FILE)  # unlike a rename, it fails if another process was faster
        except FileExistsError:
            return False
    return True


def _overrides_in(folder: Path) -> list[str] | None:
    return read_json(folder / STATUS_FILE)["overrides"] if (folder / STATUS_FILE).is_file() else None


def _job_folder(*, _root_: DictConfig) -> str:
    """Resolver `${job_folder:}` of `hydra.sweep.subdir`: Hydra asks for it before it writes into the folder."""
    hydra = _root_.hydra
    if OmegaConf.is_missing(hydra.job, "num"):
        return "NUMBER"  # nothing runs, as for --cfg hydra --resolve
    return claim_folder(Path(hydra.sweep.dir), int(hydra.job.num), list(hydra.overrides.task))


OmegaConf.register_new_resolver("job_folder", _job_folder, replace=True)


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
    """Hydra callback: write `sweep.csv` and `sweep.png` into the sweep folder, print the table; exit 1 if a job failed.

    Args:
        chart: dotted path of the function that draws (path, rows, keys, score); None: no picture. A path, since the
            configuration stands below the plots, and matplotlib is imported only where something is drawn.
    """

    def __init__(self, chart: str | None = None) -> None:
        self.chart = chart

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table; Hydra calls this once, after the last job."""
        folder = Path(config.hydra.sweep.dir)
        jobs = sorted((job.relative_to(folder) for job in job_folders(folder)), key=by_number)
        rows = [_row(folder, job) for job in jobs if not _left_over(folder, job)]
        if not rows:
            return
        varied = sorted({key for row in rows for key in row} - set(COLUMNS))
        scored = [name for name in SCORES if any(row.get(name) not in (None, "") for row in rows)]
        columns = ["job", *varied, "status", *scored, "seconds", "error"]
        with atomic_write(folder / "sweep.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        monitor = _monitor(folder, rows)
        print_table(rows, varied, scored, monitor)
        print(f"written: {folder / 'sweep.csv'}")
        differ = [key for key in varied if _differs(rows, key)]
        if self.chart and scored and len(rows) > 1 and differ:
            get_method(self.chart)(folder / "sweep.png", rows, differ, score=scored[0], name=monitor)
            print(f"look at: {folder / 'sweep.png'}")
        if any(row["status"] == FAILED for row in rows):
            sys.exit(1)


def _left_over(sweep: Path, job: Path) -> bool:
    """Return whether a job failed or was stopped in an earlier start of the sweep and was not repeated in this one."""
    status, start = sweep / job / STATUS_FILE, sweep / "multirun.yaml"  # Hydra writes this one at the start
    earlier = start.is_file() and status.stat().st_mtime < start.stat().st_mtime
    return earlier and read_json(status)["status"] != DONE


def _monitor(sweep: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Return the name of the score in the column `monitor`, such as "val/iou"."""
    for row in rows:
        if row.get("monitor") not in (None, ""):
            return str(read_json(sweep / row["job"] / "scores.json")["monitor"]["name"])
    return "monitor"


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


def print_table(rows: list[dict[str, Any]], varied: list[str], scored: list[str], monitor: str) -> None:
    """Print what differs between the jobs, in the width of the terminal; errors stand below the table.

    Args:
        rows: a dict for each job.
        varied: keys of the sweep.
        scored: columns of scores, the most important one first.
        monitor: name of the score in the column `monitor`.
    """
    console = Console()
    shown = [key for key in varied if _differs(rows, key)]
    last = [key.rpartition(".")[2] for key in shown]
    heads = {key: name if last.count(name) == 1 else key for key, name in zip(shown, last, strict=True)}
    heads["monitor"] = monitor
    used = ["job", *shown, *(["status"] if any(row["status"] != DONE for row in rows) else []), *scored[:1]]
    for column in (*scored[1:], "seconds"):
        if _width(rows, [*used, column], heads) <= console.width and _differs(rows, column):
            used.append(column)
    table = Table()
    for column in used:
        text = column in (*shown, "job")
        table.add_column(
            heads.get(column, column), justify="left" if text else "right", overflow="fold", no_wrap=not text
        )
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column, ""))) for column in used))
    console.print(table)
    for row in rows:
        if row["status"] == FAILED:
            print(f"job {row['job']} failed: {row.get('error', '')}")


def _differs(rows: Sequence[dict[str, Any]], column: str) -> bool:
    return len({str(row.get(column, "")) for row in rows}) > 1


def _width(rows: Sequence[dict[str, Any]], columns: Sequence[str], heads: dict[str, str]) -> int:
    """Return the letters that a table takes without folding."""
    cells = ([heads.get(column, column), *(_cell(row.get(column, "")) for row in rows)] for column in columns)
    return sum(max(map(len, texts)) + 3 for texts in cells) + 1


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_LETTERS else f"..{text[-MOST_LETTERS + 2 :]}"  # the end of a path tells most
