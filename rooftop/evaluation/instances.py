"""Roofs of one picture and category as instances: masks, scores and outlines for the object and polygon scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.coco import CocoObject, ReadResult
from rooftop.metrics.objects import Found, Rle, Truth, mask_areas
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers, Shaping, find_roofs
from rooftop.raster.polygonise import polygonise
from rooftop.raster.probability import stored
from rooftop.raster.rasterise import decode, encode, rasterise, ring_runs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Instances:
    """The n instances of one picture and category.

    Attributes:
        rles: masks.
        areas: float64 (n,), in square pixels.
        crowd: bool (n,), True for a group of objects that nobody counted (COCO `iscrowd`).
        scores: float64 (n,), higher is surer; 1 for the truth.
        polygons: valid outlines in the pixel frame, without crowds; an instance may have several.
        outlines: of each predicted instance its polygon; None if it has several or none.
        ids: int64 (n,), of annotations; None if it has none.
    """

    rles: list[Rle] = field(default_factory=list)
    areas: Floats = field(default_factory=lambda: np.zeros(0))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    polygons: list[Polygon] = field(default_factory=list)
    outlines: list[Polygon | None] = field(default_factory=list)
    ids: NDArray[np.int64] | None = None

    def as_truth(self) -> Truth:
        """Return them as truth for the object scores."""
        return Truth(self.rles, self.areas, self.crowd, self.ids)

    def as_found(self) -> Found:
        """Return them as predictions for the object scores."""
        return Found(self.rles, self.scores, self.areas)


def annotated(objects: Sequence[CocoObject], height: int, width: int) -> Instances:
    """Make instances of annotations; the area of the mask replaces a missing area.

    Args:
        objects: `Index.scored`: those that cover no pixel have no polygon.
        height: of the picture in pixels.
        width: of the picture in pixels.
    """
    rles = [_run(thing, height, width) for thing in objects]
    stated = np.array([thing.area for thing in objects], dtype=np.float64)
    areas = np.where(np.isnan(stated), mask_areas(rles), stated)
    crowd = np.array([thing.is_crowd for thing in objects], dtype=bool)
    polygons = [part for thing in objects if not thing.is_crowd for part in _outlines(thing.rings, thing.rle)]
    ids = np.array([thing.annotation_id for thing in objects], dtype=np.int64)
    return Instances(rles, areas, crowd, np.ones(len(rles)), polygons, ids=ids)


def patches(mask: NDArray[np.uint8]) -> Instances:
    """Make one instance of each 4-connected component of a mask, uint8 (H, W): the truth of mask pictures."""
    labels, number = ndimage.label(mask, output=np.int32)
    rles = [_cut_out(labels, label, box) for label, box in enumerate(ndimage.find_objects(labels), start=1)]
    return Instances(rles, mask_areas(rles), np.zeros(number, dtype=bool), np.ones(number), polygonise(mask))


def shaped(
    probability: NDArray[np.float32], targets: Sequence[str], *, threshold: float, shaping: Shaping, gsd: float | None
) -> list[Instances]:
    """Find roofs as `predict.py` does: separated, simplified, squared; the score is the mean probability.

    Args:
        probability: float32 (T K, H, W).
        targets: names of the T targets, as on the run's card.
        threshold: a pixel is roof if its probability is at least this.
        shaping: how probabilities become polygons.
        gsd: metres per pixel; None if unknown.

    Returns:
        Instances of each of the K categories.
    """
    values = stored(probability, np.ones(probability.shape[1:], dtype=bool))
    layers = Layers.of(values, targets)
    polygons: list[list[Polygon]] = [[] for _ in range(layers.categories)]
    scores: list[list[float]] = [[] for _ in range(layers.categories)]
    for roof in find_roofs(layers, threshold=threshold, shaping=shaping, ground=Ground(None, gsd)):
        polygons[roof.category].append(roof.polygon)
        scores[roof.category].append(roof.confidence)
    return [_drawn(*pair, *values.shape[1:]) for pair in zip(polygons, scores, strict=True)]


def detected(results: Sequence[ReadResult]) -> Instances:
    """Make instances of the results of a file, with the outlines of the file."""
    rles = [result.rle for result in results]
    shapes = [_drawn_or_traced(result) for result in results]
    polygons = [part for parts in shapes for part in parts]
    outlines = [parts[0] if len(parts) == 1 else None for parts in shapes]
    scores = np.array([result.score for result in results], dtype=np.float64)
    stated = np.array([result.area for result in results], dtype=np.float64)  # None becomes NaN
    areas = np.where(np.isnan(stated), mask_areas(rles), stated)
    return Instances(rles, areas, np.zeros(len(rles), dtype=bool), scores, polygons, outlines)


def _drawn(polygons: list[Polygon], scores: list[float], height: int, width: int) -> Instances:
    rles = [encode(rasterise([polygon], height, width)) for polygon in polygons]
    crowd = np.zeros(len(rles), dtype=bool)
    return Instances(rles, mask_areas(rles), crowd, np.array(scores, dtype=np.float64), polygons, [*polygons])


def _cut_out(labels: NDArray[np.int32], label: int, box: tuple[slice, slice]) -> Rle:
    mask = np.zeros(labels.shape, dtype=np.uint8, order="F")
    mask[box] = labels[box] == label
    return encode(mask)


def _run(thing: CocoObject, height: int, width: int) -> Rle:
    if thing.rle is not None:
        return thing.rle
    runs = ring_runs(thing.rings or [], height, width)
    return runs[0] if len(runs) == 1 else encode(rasterise([thing], height, width))


def _drawn_or_traced(result: ReadResult) -> list[Polygon]:
    if result.outline:
        return _valid(Polygon(result.outline[0], result.outline[1:]))
    return _outlines(result.rings, result.rle)


def _outlines(rings: Sequence[Floats] | None, rle: Rle | None) -> list[Polygon]:
    """Polygons of one object: one for each ring; without rings traced from the mask, holes included."""
    if rings is not None:
        return [part for ring in rings for part in _valid(Polygon(ring))]
    return _traced(rle) if rle is not None else []


def _traced(rle: Rle) -> list[Polygon]:
    """Trace one mask inside its bounding box; tracing the whole picture would take longer."""
    mask = decode([rle], *rle["size"])
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return [shapely.transform(part, lambda corners: np.add(corners, (left, top))) for part in polygonise(cut)]


def _valid(polygon: Polygon) -> list[Polygon]:
    """Repair a self-crossing ring and drop parts without area."""
    parts = [polygon] if polygon.is_valid else shapely.get_parts(shapely.make_valid(polygon))
    return [part for part in parts if isinstance(part, Polygon) and part.area > 0]
