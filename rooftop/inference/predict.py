"""All sources of one prediction, and the files about them together."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from rich.progress import track

from rooftop.errors import DataError, SourceError
from rooftop.files import write_json
from rooftop.inference.distributed import Processes
from rooftop.inference.job import Job
from rooftop.inference.outputs import SPOOLS, Finished, Outputs, countable, write_coco, write_merged
from rooftop.inference.pictures import log_places, predict_picture
from rooftop.inference.predictor import Predictor
from rooftop.inference.scenes import FilledScene, filled_scene, predict_scene, write_scene
from rooftop.inference.sources import Source
from rooftop.inference.unfinished import Unfinished, require_writable
from rooftop.plots.panels import ContactSheet
from rooftop.raster.picture import write_png

_SHEET = 8  # pictures on the contact sheet
_Work = tuple[int, Callable[[], Finished]]  # number of a source, and the work left to do on it


@dataclass(frozen=True)
class _Outcome:
    """Result of the source of a number: finished, or the reason it was skipped."""

    number: int
    finished: Finished | None
    why: str


@dataclass
class _Results:
    """Outcomes of the sources of one process, and its columns of the contact sheet by source number."""

    outcomes: list[_Outcome] = field(default_factory=list)
    columns: dict[int, ContactSheet] = field(default_factory=dict)


def predict(predictor: Predictor, sources: list[Source], job: Job, processes: Processes) -> None:
    """Predict each source, then write `predictions.coco.json`, `contact_sheet.png` and `summary.json`.

    An unreadable source is listed under `skipped`; the others are predicted. Each process predicts sources of its own;
    if there are fewer scenes than processes, all processes share the windows of each scene. The files are the same.
    An interrupted prediction resumes: canvases of finished scenes are kept, compressed, while the disk has room.

    Args:
        predictor: the network.
        sources: pictures and scenes.
        job: settings as typed.
        processes: share the work.

    Raises:
        SourceError: no source could be read.
        ConfigError: the number of `bands` differs from that of the run, or `unfinished` is not a writable folder.
    """
    predictor.preparation_of(job.bands)  # an error here comes before any file is read
    sources, folder = processes.broadcast((sources, job.folder))
    outputs = Outputs.of(job, predictor.run, folder, single=len(sources) == 1)
    scenes = [i for i, source in enumerate(sources) if source.scene]
    shared = scenes if len(scenes) < processes.count else []  # else each process has scenes of its own
    own = processes.mine([i for i in range(len(sources)) if i not in shared])
    if processes.first:
        if scenes:
            require_writable(job.unfinished)
        if len(scenes) < len(sources):
            log_places(sources, predictor.run.card, job)
    try:
        with ExitStack() as stack:  # keeps shared scenes open, and their canvases locked, until all is written
            alone = Unfinished(job.unfinished, processes.alone())
            filled = _fill_together({i: sources[i] for i in shared}, predictor, job, processes, stack)
            work = [(i, partial(_write_filled, filled[i], outputs)) for i in processes.mine(shared)]
            work += [(i, partial(_predict_one, sources[i], predictor, job, outputs, alone)) for i in own]
            results = _do(work, sources, processes, bar=processes.first and not scenes)  # each scene has its own bar
            everyone = processes.gather(results)
            if processes.first:
                _write(everyone, sources, predictor, outputs)
                _remove_canvases(filled, everyone)
            processes.wait()  # the first process has written
            alone.remove_kept()
    finally:
        if processes.first:
            shutil.rmtree(outputs.folder / SPOOLS, ignore_errors=True)


def _fill_together(
    scenes: dict[int, Source], predictor: Predictor, job: Job, processes: Processes, stack: ExitStack
) -> dict[int, FilledScene | DataError | SourceError]:
    """Fill the canvas of each scene with all processes together; the scenes stay open until `stack` closes.

    Returns:
        By source number: a filled scene, or the reason to skip it.
    """
    unfinished = Unfinished(job.unfinished, processes)
    filled: dict[int, FilledScene | DataError | SourceError] = {}
    for i, source in scenes.items():
        try:
            filled[i] = stack.enter_context(filled_scene(source, predictor, job, unfinished))
        except (DataError, SourceError) as error:
            filled[i] = error
    return filled


def _write_filled(filled: FilledScene | DataError | SourceError, outputs: Outputs) -> Finished:
    if isinstance(filled, DataError | SourceError):
        raise filled
    return write_scene(filled, outputs)


def _predict_one(source: Source, predictor: Predictor, job: Job, outputs: Outputs, unfinished: Unfinished) -> Finished:
    if source.scene:
        return predict_scene(source, predictor, job, outputs, unfinished)
    return predict_picture(source, predictor, job, outputs)


def _do(work: Sequence[_Work], sources: list[Source], processes: Processes, *, bar: bool) -> _Results:
    """Do the work of this process; only the pictures for the contact sheet stay in memory."""
    results = _Results()
    for number, do in track(work, description="predict") if bar else work:
        processes.watch()
        try:
            finished = do()
        except (DataError, SourceError) as error:
            results.outcomes.append(_Outcome(number, None, str(error)))
            continue
        results.outcomes.append(_Outcome(number, finished.without_pictures(), ""))
        shown = _on_sheet([*results.columns, number], len(sources))
        if number in shown:
            results.columns[number] = ContactSheet()
            results.columns[number].add(sources[number].stem, finished.picture, finished.mask)
        results.columns = {i: results.columns[i] for i in shown}
    return results


def _on_sheet(finished: list[int], count: int) -> list[int]:
    """Choose the sources on the contact sheet: spread over all, with others only in place of skipped ones.

    The choice depends on the finished sources alone, not on their order or the number of processes.

    Args:
        finished: source numbers.
        count: of all sources.
    """
    spread = {*np.linspace(0, count - 1, min(_SHEET, count)).astype(int).tolist()}
    return sorted(sorted(finished, key=lambda number: (number not in spread, number))[:_SHEET])


def _write(everyone: list[_Results], sources: list[Source], predictor: Predictor, outputs: Outputs) -> None:
    """Write the files about all sources, and print the summary."""
    outcomes = sorted((outcome for part in everyone for outcome in part.outcomes), key=lambda outcome: outcome.number)
    finished = [outcome.finished for outcome in outcomes if outcome.finished]
    skipped = [{"picture": sources[item.number].path, "why": item.why} for item in outcomes if not item.finished]
    if not finished:
        raise SourceError(skipped[0]["why"])
    roofs = (one.in_source() for one in finished)
    write_coco(outputs.folder / "predictions.coco.json", roofs, outputs.categories)
    sheet, columns = ContactSheet(), {i: column for part in everyone for i, column in part.columns.items()}
    for number in _on_sheet([*columns], len(sources)):
        sheet.extend(columns[number])
    write_png(outputs.folder / "contact_sheet.png", sheet.draw())
    rows = [{"id": i, **one.row} for i, one in enumerate(finished, 1)]
    summary = _summary(rows, skipped, predictor, outputs)
    if merged := write_merged(finished, outputs):
        summary["merged"] = merged
    write_json(outputs.folder / "summary.json", summary)
    _print(summary, outputs)


def _remove_canvases(filled: dict[int, FilledScene | DataError | SourceError], everyone: list[_Results]) -> None:
    """Delete the canvases of shared scenes; a scene skipped while its files were written keeps its canvas."""
    finished = {outcome.number for part in everyone for outcome in part.outcomes if outcome.finished}
    for number, scene in filled.items():
        if number in finished and isinstance(scene, FilledScene):
            scene.canvas.remove()


def _summary(
    rows: list[dict[str, Any]], skipped: list[dict[str, str]], predictor: Predictor, outputs: Outputs
) -> dict[str, Any]:
    return {
        "run": str(predictor.run.folder),
        "engine": predictor.engine,
        "threshold": outputs.threshold,
        "categories": {str(i): name for i, name in enumerate(outputs.categories, 1)},
        "roofs": sum(row["roofs"] for row in rows),
        "roof_share": sum(row["roof_pixels"] for row in rows) / max(1, sum(row["valid_pixels"] for row in rows)),
        "pictures": rows,
        "skipped": skipped,
        "not_in_coco": [row["picture"] for row in rows if not countable(row["height"], row["width"])],
    }


def _check_first(summary: dict[str, Any]) -> int:
    """Number of squares to look at first: over all sheets, if these were merged."""
    own = sum(row.get("check_first", 0) for row in summary["pictures"])
    return int(summary.get("merged", {}).get("check_first", own))


def _print(summary: dict[str, Any], outputs: Outputs) -> None:
    for item in summary["skipped"]:
        print(f"skipped: {item['why']}")
    for path in summary["not_in_coco"]:
        print(f"not in predictions.coco.json (more than 2**32 pixels): {path}")
    if merged := summary.get("merged"):
        print(f"merged: {merged['sheets']} sheets, {merged['roofs']} roofs, {merged['joined']} joined at borders")
    if squares := _check_first(summary):
        print(f"check first: {squares} squares, the layer check_first of roofs.gpkg")
    print(
        f"{len(summary['pictures'])} pictures, {summary['roofs']} roofs, "
        f"{summary['roof_share']:.1%} of the area; {len(summary['skipped'])} skipped\n"
        f"written: {outputs.folder}\n"
        f"look at: {outputs.folder / ('map.html' if outputs.single else 'contact_sheet.png')}"
    )
