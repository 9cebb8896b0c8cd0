"""Pictures for the report: the best, median and worst of the split, and the largest errors of each kind."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.evaluation.cases import Case, Cases
from rooftop.evaluation.counts import SplitCounts, judged_pairs
from rooftop.evaluation.instances import Instances
from rooftop.metrics.error_kinds import KINDS, sort_errors
from rooftop.metrics.pixel import Counts, count, ratios
from rooftop.plots.panels import ROOF, error_map, outlined, roof_by_roof, shrink
from rooftop.raster.bands import as_rgb
from rooftop.raster.rasterise import decode

Array = NDArray[np.uint8]

LONGEST = 512  # pixels, longer side of a picture in the report
CROPS = 6  # for each kind of error
MARGIN = 12  # pixels around a roof in a crop
GREY = 120  # background without a picture file
TRUTH = (0, 158, 115)  # bluish green


@dataclass(frozen=True)
class Example:
    """A picture of the split as JPEGs in base64.

    Attributes:
        name: file name.
        iou: of the pixels.
        truth: the picture with the true roofs.
        prediction: the picture with the predicted roofs.
        errors: map of hits, misses and false roofs.
    """

    name: str
    iou: float
    truth: str
    prediction: str
    errors: str


@dataclass(frozen=True)
class Crop:
    """One roof as JPEGs in base64: the picture around it, and the error map of this part."""

    name: str
    picture: str
    errors: str


def rank(counts: SplitCounts, number: int) -> dict[str, list[int]]:
    """Choose the best, median and worst pictures by IoU among the pictures with roofs.

    Returns:
        Indices into `counts.pictures` of up to `number` pictures of each group.
    """
    pixel = counts.table["pixel"].reshape(len(counts), -1, 4).sum(axis=1).astype(np.int64)
    iou, roofs = ratios(Counts(*pixel.T))["iou"], pixel[:, :3].sum(axis=1) > 0
    ranked = [int(i) for i in np.argsort(-iou, kind="stable") if roofs[i]]
    best, rest = ranked[:number], ranked[number:]
    worst, rest = rest[::-1][:number], rest[: max(0, len(rest) - number)]
    middle = max(0, (len(rest) - number) // 2)
    return {"best": best, "median": rest[middle : middle + number], "worst": worst}


def examples(cases: Cases, counts: SplitCounts, number: int) -> tuple[dict[str, list[Example]], dict[str, list[Crop]]]:
    """Draw the chosen pictures, and the largest errors of each kind in them.

    Args:
        cases: the pictures.
        counts: of these pictures.
        number: pictures of each group.

    Returns:
        Examples by group (best, median, worst), and crops by error kind.
    """
    drawn: dict[str, list[Example]] = {}
    crops: dict[str, list[tuple[int, Crop]]] = {kind: [] for kind in (*KINDS[1:], "invented")}
    for group, chosen in rank(counts, number).items():
        for i in chosen:
            case, picture = cases[counts.positions[i]], _picture(cases, counts.positions[i])
            drawn.setdefault(group, []).append(_example(case, picture))
            for kind, found in _crops(case, picture):
                crops[kind].append(found)
    largest = {kind: sorted(found, key=lambda pair: -pair[0])[:CROPS] for kind, found in crops.items()}
    return drawn, {kind: [crop for _, crop in found] for kind, found in largest.items()}


def _picture(cases: Cases, i: int) -> Array:
    picture = cases.picture(i)
    if picture is not None:
        return as_rgb(picture)
    height, width = cases[i].valid.shape
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def _example(case: Case, picture: Array) -> Example:
    mask, prediction = case.mask.max(axis=0), case.prediction.max(axis=0)
    iou = float(ratios(count(prediction, mask, case.valid))["iou"])
    views = (
        roof_by_roof(picture, _labels(case.truth, mask.shape), TRUTH),
        roof_by_roof(picture, _labels(case.found, mask.shape), ROOF),
        error_map(picture, mask, prediction, case.valid),
    )
    return Example(case.name, iou, *(jpeg(shrink(view, LONGEST)) for view in views))


def _labels(categories: list[Instances], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Number the roofs of all categories from 1, without crowds; int32 (H, W)."""
    labels = np.zeros(shape, dtype=np.int32)
    for roofs in categories:
        for rle, crowd in zip(roofs.rles, roofs.crowd, strict=True):
            if not crowd:
                labels[decode([rle], *shape) > 0] = labels.max() + 1
    return labels


def _crops(case: Case, picture: Array) -> list[tuple[str, tuple[int, Crop]]]:
    errors = error_map(picture, case.mask.max(axis=0), case.prediction.max(axis=0), case.valid)
    crops = []
    for found, truth in judged_pairs(case):
        done = sort_errors(found.as_found(), truth.as_truth())
        real = [rle for rle, crowd in zip(truth.rles, truth.crowd, strict=True) if not crowd]
        wrong = [(KINDS[kind], rle) for kind, rle in zip(done.kinds, real, strict=True) if kind]
        wrong += [("invented", rle) for rle, so in zip(found.rles, done.invented, strict=True) if so]
        for kind, rle in wrong:
            mask = decode([rle], *rle["size"])
            if not mask.any():  # a sliver between pixels
                continue
            window = _window(mask)
            views = (jpeg(picture[window]), jpeg(outlined(errors, mask)[window]))
            crops.append((kind, (int(mask.sum()), Crop(case.name, *views))))
    return crops


def _window(mask: Array) -> tuple[slice, slice]:
    """Return a square around a roof; at the edge of the picture it is moved inside."""
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    side = max(int(span[-1] - span[0]) for span in spans) + 1 + 2 * MARGIN
    starts = [int(span[0] + span[-1] + 1 - side) // 2 for span in spans]
    moved = [max(0, min(start, length - side)) for start, length in zip(starts, mask.shape, strict=True)]
    return slice(moved[0], moved[0] + side), slice(moved[1], moved[1] + side)


def jpeg(pixels: Array) -> str:
    """Encode uint8 (H, W, 3) as JPEG in base64."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="JPEG", quality=88, subsampling=0)
    return base64.b64encode(content.getvalue()).decode()
