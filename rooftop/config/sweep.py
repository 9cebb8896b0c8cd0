"""The table at the end of a sweep: one row a job, read from the job folders, so that any launcher may have run them."""

import csv
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from rooftop.config.jobs import DONE, FAILED, NOTE
from rooftop.files import atomic_write, read_json

SCORES = ("monitor", "iou", "f1", "precision", "recall", "roofs", "roof_share")
COLUMNS = ("job", "status", *SCORES, "seconds", "error")


class SweepTable(Callback):  # type: ignore[misc]
    """Hydra callback: writes `sweep.csv` into the sweep folder and prints it; exit code 1 if a job failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Collect the jobs; Hydra calls this once, after the last."""
        folder = Path(config.hydra.sweep.dir)
        rows = [_row(job) for job in sorted(folder.iterdir(), key=_number) if (job / NOTE).is_file()]
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


def _number(folder: Path) -> tuple[int, str]:
    return (int(folder.name), "") if folder.name.isdigit() else (sys.maxsize, folder.name)


def _row(job: Path) -> dict[str, Any]:
    status = read_json(job / NOTE)
    row: dict[str, Any] = {"job": job.name, **{key: value for key, value in status.items() if key in COLUMNS}}
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
