"""The roofs of one picture and category, as the object and polygon scores want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon

from rooftop.coco import CocoObject, Result
from rooftop.metrics.objects import Found, Rle, Truth
from rooftop.raster.polygonise import polygonise
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
    areas = np.array([_area(rle) if np.isnan(o.area) else o.area for o, rle in zip(objects, rles, strict=True)])
    crowd = np.array([thing.is_crowd for thing in objects], dtype=bool)
    polygons = [part for thing in objects if not thing.is_crowd for part in _outlines(thing, height, width)]
    return Roofs(rles, areas.astype(np.float64), crowd, np.ones(len(rles)), polygons)


def patches(mask: NDArray[np.uint8], sureness: NDArray[np.floating]) -> Roofs:
    """Take each 4-connected patch of a mask as one roof, its mean `sureness` as score.

    Args:
        mask: uint8 (H, W), 1 = roof.
        sureness: (H, W), as a rule the probability.
    """
    labels, number = ndimage.label(mask)
    names = np.arange(1, number + 1)
    rles = [_cut_out(labels, name, place) for name, place in enumerate(ndimage.find_objects(labels), start=1)]
    areas = np.bincount(labels.ravel(), minlength=number + 1)[1:].astype(np.float64)
    scores = np.asarray(ndimage.mean(sureness, labels, names), dtype=np.float64).reshape(-1)
    return Roofs(rles, areas, np.zeros(number, dtype=bool), scores, polygonise(mask))


def detected(results: Sequence[Result], height: int, width: int) -> Roofs:
    """Take the objects of a results file."""
    rles = [result.rle for result in results]
    polygons = [part for rle in rles for part in polygonise(decode([rle], height, width))]
    areas, scores = np.array([_area(rle) for rle in rles]), np.array([result.score for result in results])
    return Roofs(rles, areas.astype(np.float64), np.zeros(len(rles), dtype=bool), scores.astype(np.float64), polygons)


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
        return polygonise(decode([thing.rle], height, width))
    return [part for ring in thing.rings or [] for part in _valid(Polygon(ring))]


def _valid(polygon: Polygon) -> list[Polygon]:
    """Mend a ring that crosses itself; parts without area are dropped."""
    parts = [polygon] if polygon.is_valid else shapely.get_parts(shapely.make_valid(polygon))
    return [part for part in parts if isinstance(part, Polygon) and part.area > 0]


def _area(rle: Rle) -> int:
    return int(decode([rle], *rle["size"]).sum())
