"""Predict pictures: for each a mask and an overlay, for all a contact sheet and a summary."""

import glob
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from rooftop.errors import DataError, SourceError
from rooftop.files import write_json
from rooftop.inference.predictor import Predictor
from rooftop.plots.panels import ContactSheet, overlay
from rooftop.raster.picture import SUFFIXES, list_pictures, read_picture, write_mask, write_png

SHEET = 8  # pictures on the contact sheet
Array = NDArray[np.uint8]


def find_pictures(source: str) -> list[Path]:
    """The pictures that `source` names: a picture, a folder, or a glob.

    Raises:
        SourceError: nothing there, or two pictures that would write the same files.
    """
    path = Path(source)
    if path.is_dir():
        found = list_pictures(path)
    elif path.is_file():
        found = [path]
    else:
        found = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207 (absolute patterns too)
        found = [name for name in found if name.suffix.lower() in SUFFIXES]
    if not found:
        raise SourceError(f"source={source}: no such picture, folder or pattern.")
    by_stem: dict[str, Path] = {}
    for name in found:
        other = by_stem.setdefault(name.stem, name)
        if other != name:
            raise SourceError(f"{other} and {name} would write the same files; rename one or predict them apart.")
    return found


def predict_pictures(predictor: Predictor, pictures: list[Path], folder: Path, *, threshold: float) -> dict[str, Any]:
    """Write `masks/<stem>.png`, `overlays/<stem>.png`, `contact_sheet.png` and `summary.json` into `folder`.

    A picture that cannot be read is listed under `skipped`, and the others are predicted.

    Args:
        predictor: of the run.
        pictures: files.
        folder: where to write.
        threshold: probability from which on a pixel is called roof.

    Returns:
        The summary: count and area share of roofs a picture.

    Raises:
        SourceError: not one picture could be read.
    """
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    sheet = ContactSheet()
    chosen = {pictures[int(i)] for i in np.linspace(0, len(pictures) - 1, min(SHEET, len(pictures)))}
    for path in track(pictures, description="predict"):
        try:
            picture = read_picture(path)
        except DataError as error:
            skipped.append({"picture": str(path), "why": str(error)})
            continue
        mask = (predictor.probability(picture).max(axis=0) >= threshold).astype(np.uint8)
        laid = overlay(picture, mask)
        write_mask(folder / "masks" / f"{path.stem}.png", mask)
        write_png(folder / "overlays" / f"{path.stem}.png", laid)
        rows.append(_row(path, mask, predictor.run.card.gsd))
        if path in chosen:
            sheet.add(path.stem, picture, mask)
    if not rows:
        raise SourceError(skipped[0]["why"])
    write_png(folder / "contact_sheet.png", sheet.draw())
    summary = _summary(rows, skipped, predictor, threshold)
    write_json(folder / "summary.json", summary)
    _report(summary, folder)
    return summary


def _row(path: Path, mask: Array, gsd: float | None) -> dict[str, Any]:
    """One line of the summary. Roofs are connected patches of the mask: touching ones count as one."""
    share = float(mask.mean())
    row: dict[str, Any] = {
        "picture": str(path),
        "height": mask.shape[0],
        "width": mask.shape[1],
        "roofs": int(ndimage.label(mask)[1]),
        "roof_share": share,
        "roof_pixels": int(mask.sum()),
    }
    return row | ({"roof_m2": row["roof_pixels"] * gsd**2} if gsd else {})


def _summary(
    rows: list[dict[str, Any]], skipped: list[dict[str, str]], predictor: Predictor, threshold: float
) -> dict[str, Any]:
    pixels = sum(row["height"] * row["width"] for row in rows)
    return {
        "run": str(predictor.run.folder),
        "threshold": threshold,
        "roofs": sum(row["roofs"] for row in rows),
        "roof_share": sum(row["roof_pixels"] for row in rows) / pixels,
        "pictures": rows,
        "skipped": skipped,
    }


def _report(summary: dict[str, Any], folder: Path) -> None:
    for item in summary["skipped"]:
        print(f"skipped: {item['why']}")
    print(
        f"{len(summary['pictures'])} pictures, {summary['roofs']} roofs, "
        f"{summary['roof_share']:.1%} of the area; {len(summary['skipped'])} skipped\n"
        f"written: {folder}\n"
        f"look at: {folder / 'contact_sheet.png'}"
    )
