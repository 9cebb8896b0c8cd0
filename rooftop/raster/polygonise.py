"""Masks become polygons in the pixel frame, holes kept: the exact inverse of `rasterise`.

GDAL walks the pixel edges (`rasterio.features.shapes`): two pixels belong together when they share an edge
(4-connectivity), so each polygon is valid, its inside is connected, and rings touch in points only. Corners
are integers, and on integers pycocotools draws exactly the pixels inside: `rasterise(polygonise(m)) == m`.
"""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely import Polygon


def polygonise(mask: NDArray[np.uint8]) -> list[Polygon]:
    """One polygon a 4-connected region of ones, in the order of each region's first pixel.

    Args:
        mask: uint8 (H, W), 1 = roof.

    Returns:
        Polygons in the pixel frame (x right, y down, origin at the outer corner of the first pixel).
    """
    return [polygon for _, polygon in polygonise_labels((mask > 0).astype(np.int32))]


def polygonise_labels(labels: NDArray[np.int32]) -> list[tuple[int, Polygon]]:
    """One (label, polygon) a 4-connected region of equal labels; 0 is background.

    Args:
        labels: int32 (H, W), 0 = background.
    """
    found = sorted(_traced(labels), key=lambda pair: first_pixel(pair[1]))
    return [(label, without_straight_corners(polygon)) for label, polygon in found]


def without_straight_corners(polygon: Polygon) -> Polygon:
    """Drop corners on straight edges of rectilinear rings, and start each ring at a canonical corner.

    Equal regions then have equal coordinates, however they were assembled.
    """
    rings = [_turns(shapely.get_coordinates(ring)[:-1]) for ring in (polygon.exterior, *polygon.interiors)]
    return Polygon(rings[0], rings[1:]).normalize()


def _traced(labels: NDArray[np.int32]) -> Iterator[tuple[int, Polygon]]:
    for geometry, value in shapes(labels, mask=labels != 0, connectivity=4):
        rings = geometry["coordinates"]
        yield int(value), Polygon(rings[0], rings[1:])


def first_pixel(polygon: Polygon) -> tuple[float, float]:
    """(row, column) of the region's first pixel in reading order: its top left corner starts the top edge."""
    corners = shapely.get_coordinates(polygon.exterior)
    top = corners[corners[:, 1] == corners[:, 1].min()]
    return float(top[0, 1]), float(top[:, 0].min())


def _turns(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners (n, 2) of an open ring, without corners on straight edges."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    straight = ((before == corners) & (corners == after)).any(axis=1)
    turns: NDArray[np.float64] = corners[~straight]
    return turns
