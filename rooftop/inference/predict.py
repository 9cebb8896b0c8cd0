"""All sources of one prediction, and what is written about them together."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from rooftop.errors import DataError, SourceError
from rooftop.files import write_json
from rooftop.inference.distributed import Processes
from rooftop.inference.job import Finished, Job
from rooftop.inference.outputs import countable, write_coco
from rooftop.inference.pictures import predict_one_picture
from rooftop.inference.predictor import Predictor
from rooftop.inference.scenes import predict_one_scene, predicted, write_scene
from rooftop.inference.sources import Source
from rooftop.inference.unfinished import Canvas, Kept, require_folder
from rooftop.plots.panels import ContactSheet
from rooftop.raster.picture import write_png

_SHEET = 8  # pictures on the contact sheet
_Work = tuple[int, Callable[[], Finished]]  # place of a source among all, and what is to be done with it


@dataclass(frozen=True)
class _Outcome:
    """What became of the source at a place: finished or why not."""

    number: int
    done: Finished | None
    why: str


@dataclass
class _Found:
    """What became of sources, and the columns of the contact sheet by the places of those that are on it."""

    outcomes: list[_Outcome]
    columns: dict[int, ContactSheet]


def predict(predictor: Predictor, sources: list[Source], job: Job, processes: Processes) -> None:
    """Predict each source, then write `predictions.coco.json`, `contact_sheet.png` and `summary.json`.

    A source that cannot be read is listed under `skipped`, and the others are predicted. Each of several processes
    predicts sources of its own; where scenes are fewer than processes, these share their windows. The files are equal.
    What is stopped before all is written is gone on with: the probabilities of finished scenes are kept, packed, as
    long as the disk has room for them.

    Raises:
        SourceError: not one source could be read.
        ConfigError: `bands` are not as many as the run looks at, or unfinished scenes cannot wait at `unfinished`.
    """
    predictor.preparation_of(job.bands)  # before anything is read
    sources, job = processes.broadcast(sources), replace(job, folder=processes.broadcast(job.folder))
    scenes = [i for i, source in enumerate(sources) if source.scene]
    shared = scenes if len(scenes) < processes.count or len(sources) == 1 else []
    if scenes and not processes.rank:
        require_folder(job.unfinished)
    if len(scenes) < len(sources) and not processes.rank:
        job.tell_of_distance(predictor)
    own = [i for i in range(len(sources)) if i not in shared][processes.rank :: processes.count]
    try:
        with ExitStack() as unfinished:
            work, canvases = _shared(
                [(i, sources[i]) for i in shared], predictor, job, processes, unfinished=unfinished
            )
            kept, found = Kept(), _Found([], {})
            work += [(i, partial(_predict_one, predictor, sources[i], job, processes, kept=kept)) for i in own]
            alone = not (scenes or processes.rank)  # scenes have bars of their own
            for i, do in track(work, description="predict") if alone else work:
                processes.watch()
                _add(found, i, do, sources)
            everyone = processes.gather(found)
            if not processes.rank:
                _write(everyone, sources, predictor, job)
                finished = {outcome.number for part in everyone for outcome in part.outcomes if outcome.done}
                for number in finished & canvases.keys():
                    canvases[number].remove()
            processes.broadcast(None)  # the first process has written
            kept.remove()
    finally:
        if not processes.rank:
            shutil.rmtree(job.folder / ".roofs", ignore_errors=True)


def _shared(
    scenes: list[tuple[int, Source]], predictor: Predictor, job: Job, processes: Processes, *, unfinished: ExitStack
) -> tuple[list[_Work], dict[int, Canvas]]:
    """Predict scenes, all processes together; what is left to do is to write them, one process one scene.

    Their canvases, by the same numbers, are this process's until `unfinished` ends, if it is the first.
    """
    work: list[_Work] = []
    canvases: dict[int, Canvas] = {}
    for i, source in scenes:
        try:
            scene = unfinished.enter_context(predicted(predictor, source, job, processes, kept=Kept()))
            work.append((i, partial(write_scene, scene)))
            canvases[i] = scene.canvas
        except (DataError, SourceError) as error:
            work.append((i, partial(_refuse, error)))
    return work[processes.rank :: processes.count], canvases


def _predict_one(predictor: Predictor, source: Source, job: Job, processes: Processes, *, kept: Kept) -> Finished:
    if source.scene:
        return predict_one_scene(predictor, source, job, processes, kept=kept)
    return predict_one_picture(predictor, source, job)


def _refuse(error: DataError | SourceError) -> Finished:
    raise error


def _add(found: _Found, number: int, work: Callable[[], Finished], sources: list[Source]) -> None:
    """Do the work on a source, and keep of its pictures what the contact sheet needs."""
    try:
        done = work()
    except (DataError, SourceError) as error:
        found.outcomes.append(_Outcome(number, None, str(error)))
        return
    found.outcomes.append(_Outcome(number, done.without_pictures(), ""))
    shown = _on_sheet([*found.columns, number], len(sources))
    if number in shown:
        found.columns[number] = ContactSheet()
        found.columns[number].add(sources[number].stem, done.picture, done.mask)
    found.columns = {i: found.columns[i] for i in shown}


def _on_sheet(done: list[int], many: int) -> list[int]:
    """Places of those on the contact sheet: spread over all of so many sources, others only where these were skipped.

    It depends on what is done and not on who did it, nor in which order.
    """
    spread = {*np.linspace(0, many - 1, min(_SHEET, many)).astype(int).tolist()}
    return sorted(sorted(done, key=lambda number: (number not in spread, number))[:_SHEET])


def _write(everyone: list[_Found], sources: list[Source], predictor: Predictor, job: Job) -> None:
    """Write what is about all sources."""
    found = sorted((outcome for part in everyone for outcome in part.outcomes), key=lambda outcome: outcome.number)
    done = [outcome.done for outcome in found if outcome.done]
    skipped = [{"picture": sources[item.number].path, "why": item.why} for item in found if not item.done]
    if not done:
        raise SourceError(skipped[0]["why"])
    roofs = ((Path(one.row["picture"]).name, (one.row["height"], one.row["width"]), one.roofs) for one in done)
    write_coco(job.folder / "predictions.coco.json", roofs, job.categories)
    sheet, columns = ContactSheet(), {i: column for part in everyone for i, column in part.columns.items()}
    for number in _on_sheet([*columns], len(sources)):
        sheet.extend(columns[number])
    write_png(job.folder / "contact_sheet.png", sheet.draw())
    summary = _summary([{"id": i, **one.row} for i, one in enumerate(done, 1)], skipped, predictor, job)
    write_json(job.folder / "summary.json", summary)
    _report(summary, job)


def _summary(
    rows: list[dict[str, Any]], skipped: list[dict[str, str]], predictor: Predictor, job: Job
) -> dict[str, Any]:
    return {
        "run": str(predictor.run.folder),
        "threshold": job.threshold,
        "categories": {str(i): name for i, name in enumerate(job.categories, 1)},
        "roofs": sum(row["roofs"] for row in rows),
        "roof_share": sum(row["roof_pixels"] for row in rows) / max(1, sum(row["valid_pixels"] for row in rows)),
        "pictures": rows,
        "skipped": skipped,
        "not_in_coco": [row["picture"] for row in rows if not countable(row["height"], row["width"])],
    }


def _report(summary: dict[str, Any], job: Job) -> None:
    for item in summary["skipped"]:
        print(f"skipped: {item['why']}")
    for path in summary["not_in_coco"]:
        print(f"not in predictions.coco.json, which can number 2**32 pixels: {path}")
    print(
        f"{len(summary['pictures'])} pictures, {summary['roofs']} roofs, "
        f"{summary['roof_share']:.1%} of the area; {len(summary['skipped'])} skipped\n"
        f"written: {job.folder}\n"
        f"look at: {job.folder / ('map.html' if job.single else 'contact_sheet.png')}"
    )
