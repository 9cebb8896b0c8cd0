"""What a mapper changed: corrected roofs against predicted ones."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import shapely
from shapely import Polygon

_SAME = 0.5  # intersection over union, from which two outlines are of one roof
_MOVED = 0.05  # metres that a corner may lie apart: GeoJSON rounds


@dataclass(frozen=True)
class Changes:
    """Number of roofs in the checked squares: as predicted, reshaped, added, and removed."""

    kept: int = 0
    reshaped: int = 0
    added: int = 0
    removed: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


def compare(before: Sequence[Polygon], after: Sequence[Polygon], *, pixel: tuple[float, float]) -> Changes:
    """Compare roofs before and after a correction.

    Pairs are formed by intersection over union, best first. Of a roof that was split, one part counts as reshaped if
    it is at least half of the roof, the others as added.

    Args:
        before: predicted roofs, valid, in the pixel frame.
        after: corrected roofs, in the same frame.
        pixel: its width and height in metres.
    """
    pairs = _pairs(before, after)
    sides = np.array(pixel)
    apart = [
        float(shapely.hausdorff_distance(*(shapely.transform(each.boundary, lambda at: at * sides) for each in pair)))
        for pair in ((before[i], after[k]) for i, k in pairs)
    ]
    kept = sum(distance <= _MOVED for distance in apart)
    return Changes(kept, len(pairs) - kept, len(after) - len(pairs), len(before) - len(pairs))


def _pairs(before: Sequence[Polygon], after: Sequence[Polygon]) -> list[tuple[int, int]]:
    """Indices of the outlines of one roof, each index at most once."""
    if not before or not after:
        return []
    old, new = np.array(before, object), np.array(after, object)
    k, i = shapely.STRtree(old).query(new, predicate="intersects")
    shared = shapely.area(shapely.intersection(old[i], new[k]))
    overlap = shared / (shapely.area(old[i]) + shapely.area(new[k]) - shared)
    found: dict[int, int] = {}
    paired: set[int] = set()
    for at in np.argsort(-overlap, kind="stable"):
        one, other = int(i[at]), int(k[at])
        if overlap[at] >= _SAME and one not in found and other not in paired:
            found[one] = other
            paired.add(other)
    return list(found.items())
