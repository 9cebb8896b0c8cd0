"""All sources of one prediction, and what is written about them together."""

import shutil
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.progress import track

from rooftop.errors import DataError, SourceError
from rooftop.files import write_json
from rooftop.inference.job import Done, Job
from rooftop.inference.pictures import predict_one_picture
from rooftop.inference.predictor import Predictor
from rooftop.inference.scenes import predict_one_scene
from rooftop.inference.sources import Source
from rooftop.inference.vectors import write_coco
from rooftop.plots.panels import ContactSheet
from rooftop.raster.picture import write_png

_SHEET = 8  # pictures on the contact sheet


def predict(predictor: Predictor, sources: list[Source], job: Job) -> dict[str, Any]:
    """Predict each source, then write `predictions.coco.json`, `contact_sheet.png` and `summary.json`.

    A source that cannot be read is listed under `skipped`, and the others are predicted.

    Returns:
        The summary: count, area and share of roofs a source.

    Raises:
        SourceError: not one source could be read.
        ConfigError: `bands` are not as many as the run looks at.
    """
    predictor.preparation_of(job.bands)  # before anything is read
    done: list[Done] = []
    skipped: list[dict[str, str]] = []
    sheet = ContactSheet()
    chosen = {sources[int(i)].stem for i in np.linspace(0, len(sources) - 1, min(_SHEET, len(sources)))}
    try:
        for source in _shown(sources):
            try:
                one = (predict_one_scene if source.scene else predict_one_picture)(predictor, source, job)
            except (DataError, SourceError) as error:
                skipped.append({"picture": source.path, "why": str(error)})
                continue
            if source.stem in chosen:
                sheet.add(source.stem, one.picture, one.mask)
            done.append(one.without_pictures())
        if not done:
            raise SourceError(skipped[0]["why"])
        found = ((i, (one.row["height"], one.row["width"]), one.roofs) for i, one in enumerate(done, 1))
        write_coco(job.folder / "predictions.coco.json", found)
    finally:
        shutil.rmtree(job.folder / ".roofs", ignore_errors=True)
    write_png(job.folder / "contact_sheet.png", sheet.draw())
    summary = _summary([{"id": i, **one.row} for i, one in enumerate(done, 1)], skipped, predictor, job)
    write_json(job.folder / "summary.json", summary)
    _report(summary, job)
    return summary


def _shown(sources: list[Source]) -> Iterable[Source]:
    """A bar over the sources, unless each has its own."""
    return sources if any(source.scene for source in sources) else track(sources, description="predict")


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
    }


def _report(summary: dict[str, Any], job: Job) -> None:
    for item in summary["skipped"]:
        print(f"skipped: {item['why']}")
    print(
        f"{len(summary['pictures'])} pictures, {summary['roofs']} roofs, "
        f"{summary['roof_share']:.1%} of the area; {len(summary['skipped'])} skipped\n"
        f"written: {job.folder}\n"
        f"look at: {job.folder / ('map.html' if job.single else 'contact_sheet.png')}"
    )
