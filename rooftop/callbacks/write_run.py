"""The run folder of a finished training: weights, card, scores, pictures."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from rooftop.callbacks.board import show
from rooftop.callbacks.history import History
from rooftop.config import shell_setting, typed_command, working_folder
from rooftop.data.datamodule import RoofDataModule
from rooftop.files import write_json
from rooftop.plots.panels import ContactSheet, panel
from rooftop.raster.picture import write_png
from rooftop.run import Card, save
from rooftop.task import RooftopTask

SCORES = ("iou", "f1", "precision", "recall", "accuracy")


class WriteRun(Callback):
    """Writes the run folder once the best weights are tested.

    Args:
        folder: the run folder.
        card: complete but for the scores.
        history: knows the epoch of the best weights.
        pictures: number of pictures of the test split to draw; without one, of val.
    """

    def __init__(self, folder: Path, card: Card, history: History, *, pictures: int) -> None:
        self.folder, self.card, self.history, self.pictures = folder, card, history, pictures
        self._scores: dict[str, Any] = {}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write all files; the module holds the tested weights."""
        if not trainer.is_global_zero:
            return
        data: RoofDataModule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, RooftopTask)
        best, name = self.history.best, self.history.monitor
        measured = {key: pl_module.measured["test"][key] for key in SCORES}
        own = {name: value for name, value in pl_module.measured["test"].items() if name in pl_module.own_metrics}
        scores = {
            "pixel": measured,
            **({"metrics": own} if own else {}),
            "split": data.test_split,
            "pictures": len(data.dataset(data.test_split)),
            "threshold": pl_module.threshold,
            "monitor": {"name": name, "value": best[name], "epoch": int(best["epoch"]) + 1},
        }
        self._draw(pl_module, data)
        write_json(self.folder / "scores.json", scores)
        card = dataclasses.replace(self.card, threshold=pl_module.threshold, scores=scores)
        save(self.folder, pl_module.network, card)
        self._scores = scores

    def report(self, *, logged: bool) -> None:
        """Print the scores and the next commands, once the progress bar is gone; only the first rank has them."""
        if self._scores:
            _report(self._scores["pixel"], self._scores, self.folder, logged=logged)

    def _draw(self, task: RooftopTask, data: RoofDataModule) -> None:
        if not self.pictures:
            return
        shown = show(task, data.dataset(data.test_split), self.pictures)
        threshold = task.threshold
        sheet = ContactSheet()
        for one in shown:
            sheet.add(one.name, one.picture, (one.probability >= threshold).astype("uint8"))
            pixels = panel(one.picture, one.truth, one.probability, threshold=threshold)
            write_png(self.folder / "pictures" / f"{data.test_split}_{one.name}.png", pixels)
        write_png(self.folder / "pictures" / f"{data.test_split}_contact_sheet.png", sheet.draw())


def _report(measured: dict[str, float], scores: dict[str, Any], folder: Path, *, logged: bool) -> None:
    """Print the scores and the next commands."""
    table = Table(title=f"{scores['split']}: {scores['pictures']} pictures, best weights")
    for name in measured:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:.4f}" for value in measured.values()))
    Console().print(table)
    split = "" if scores["split"] == "test" else f" split={scores['split']}"
    here = working_folder()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    run, logs = shell_setting("run", shown), shlex.quote(str(shown))
    print(
        f"run folder:  {shown}\n"
        f"next:        {typed_command('predict')} {run} source=PICTURE_OR_FOLDER\n"
        f"             {typed_command('evaluate')} {run}{split}"
        + (f"\n             tensorboard --logdir {logs}" if logged else "")
    )
