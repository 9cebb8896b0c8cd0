"""The roofs of one picture and category, as the object and polygon scores want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.coco import CocoObject, Result
from rooftop.metrics.objects import Found, Rle, Truth, mask_areas
from rooftop.polygons.separate import separate
from rooftop.raster.polygonise import polygonise, polygonise_labels
from rooftop.raster.rasterise import decode, encode, rasterise, ring_runs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Roofs:
    """Objects of one picture and category.

    rles: masks; areas: in pixels; crowd: bool, True where the outline stands for a group that nobody counted;
    scores: the higher the surer, 1 for true ones; each of length n. polygons: outlines of the objects that are
    no crowd, valid, in the pixel frame; an object may have several.
    """

    rles: list[Rle] = field(default_factory=list)
    areas: Floats = field(default_factory=lambda: np.zeros(0))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    polygons: list[Polygon] = field(default_factory=list)

    def as_truth(self) -> Truth:
        """Give them to the object scores as truth."""
        return Truth(self.rles, self.areas, self.crowd)

    def as_found(self) -> Found:
        """Give them to the object scores as found."""
        return Found(self.rles, self.scores)


def annotated(objects: Sequence[CocoObject], height: int, width: int) -> Roofs:
    """Take annotations as they are; one without area gets that of its mask."""
    rles = [_run(thing, height, width) for thing in objects]
    said = np.array([thing.area for thing in objects], dtype=np.float64)
    areas = np.where(np.isnan(said), mask_areas(rles), said)
    crowd = np.array([thing.is_crowd for thing in objects], dtype=bool)
    polygons = [part for thing in objects if not thing.is_crowd for part in _outlines(thing, height, width)]
    return Roofs(rles, areas, crowd, np.ones(len(rles)), polygons)


def patches(mask: NDArray[np.uint8], sureness: NDArray[Any], *, neck: float | None) -> Roofs:
    """Take the patches of a mask as roofs, the mean `sureness` of each as its score.

    Args:
        mask: uint8 (H, W), 1 = roof.
        sureness: (H, W), as a rule the probability.
        neck: part touching roofs where the neck between them is narrower than this share of the smaller one's
            width (`rooftop.polygons.separate`); None takes each 4-connected patch as one roof.
    """
    labels = ndimage.label(mask, output=np.int32)[0] if neck is None else separate(mask, ratio=neck)
    number = int(labels.max(initial=0))
    rles = [_cut_out(labels, name, place) for name, place in enumerate(ndimage.find_objects(labels), start=1)]
    areas = np.bincount(labels.ravel(), minlength=number + 1)[1:].astype(np.float64)
    scores = np.asarray(ndimage.mean(sureness, labels, np.arange(1, number + 1)), dtype=np.float64).reshape(-1)
    polygons = [polygon for _, polygon in polygonise_labels(labels)]
    return Roofs(rles, areas, np.zeros(number, dtype=bool), scores, polygons)


def detected(results: Sequence[Result], height: int, width: int) -> Roofs:
    """Take the objects of a results file."""
    rles = [result.rle for result in results]
    polygons = [part for rle in rles for part in _traced(rle)]
    scores = np.array([result.score for result in results], dtype=np.float64)
    return Roofs(rles, mask_areas(rles), np.zeros(len(rles), dtype=bool), scores, polygons)


def _cut_out(labels: NDArray[np.int32], name: int, place: tuple[slice, slice]) -> Rle:
    mask = np.zeros(labels.shape, dtype=np.uint8, order="F")
    mask[place] = labels[place] == name
    return encode(mask)


def _run(thing: CocoObject, height: int, width: int) -> Rle:
    if thing.rle is not None:
        return thing.rle
    runs = ring_runs(thing.rings or [], height, width)
    return runs[0] if len(runs) == 1 else encode(rasterise([thing], height, width))


def _outlines(thing: CocoObject, height: int, width: int) -> list[Polygon]:
    """Polygons of an annotation: of each ring as it is drawn by hand, or of its run lengths, which may have holes."""
    if thing.rle is not None:
        return _traced(thing.rle)
    return [part for ring in thing.rings or [] for part in _valid(Polygon(ring))]


def _traced(rle: Rle) -> list[Polygon]:
    """Trace one mask within its bounding box, since most of a picture is not this roof."""
    mask = decode([rle], *rle["size"])
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return [shapely.transform(part, lambda corners: np.add(corners, (left, top))) for part in polygonise(cut)]


def _valid(polygon: Polygon) -> list[Polygon]:
    """Mend a ring that crosses itself; parts without area are dropped."""
    parts = [polygon] if polygon.is_valid else shapely.get_parts(shapely.make_valid(polygon))
    return [part for part in parts if isinstance(part, Polygon) and part.area > 0]
