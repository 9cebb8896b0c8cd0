"""Outlines to masks and run lengths: the only rasteriser.

Every published COCO score depends on the rasteriser of pycocotools (P. Dollár and T.-Y. Lin, 2015, maskApi.c). It
samples outlines five times finer than the pixel grid. This module always calls it; `polygon_run` does so for a
small object in a large picture, without drawing the picture.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco
from shapely import Polygon

Run = dict[str, Any]
"""Compressed run lengths as pycocotools has them: {"size": [height, width], "counts": bytes}."""


class Outline(Protocol):
    """The outline of one object: outer rings, or run lengths.

    rings: float64 (n, 2) arrays, x right, y down, in pixels from the outer corner of the first pixel; None
    with `rle`. rle: compressed run lengths of the size of the picture; None with `rings`.
    """

    @property
    def rings(self) -> Sequence[NDArray[np.float64]] | None:
        """Outer rings."""

    @property
    def rle(self) -> Run | None:
        """Run lengths."""


def rasterise(shapes: Iterable[Outline | Polygon], height: int, width: int) -> NDArray[np.uint8]:
    """Draw the union of `shapes`.

    Args:
        shapes: outlines (their rings are united, as COCO says) or shapely polygons (exterior minus
            interiors), in the pixel frame.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        uint8 (H, W), C order, 1 = inside at least one shape.
    """
    rings: list[NDArray[np.float64]] = []
    runs: list[Run] = []
    for shape in shapes:
        if isinstance(shape, Polygon) or shape.rle is not None:
            runs += _runs(shape, height, width)
        else:
            rings += shape.rings or ()
    return decode(ring_runs(rings, height, width) + runs, height, width)


def number(shapes: Iterable[Outline | Polygon], height: int, width: int) -> NDArray[np.int32]:
    """Draw each outline with its number.

    Args:
        shapes: one for each object, as for `rasterise`.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        int32 (H, W), C order, 0 = background, 1 ... N = number of the outline; later ones cover earlier ones.
    """
    numbers = np.zeros((height, width), np.int32)
    for n, shape in enumerate(shapes, start=1):
        run = coco.merge(_runs(shape, height, width))
        x, y, wide, high = coco.toBbox(run).astype(int).tolist()
        box = slice(y, y + high), slice(x, x + wide)  # most of a picture is not this shape
        np.copyto(numbers[box], n, where=coco.decode(run)[box] > 0)
    return numbers


def ring_runs(rings: Sequence[NDArray[np.float64]], height: int, width: int) -> list[Run]:
    """Run lengths of each ring, float64 (n, 2) with n >= 3, all in one call of the library."""
    if not rings:
        return []
    runs: list[Run] = coco.frPyObjects([ring.reshape(-1) for ring in rings], height, width)
    return runs


def decode(runs: list[Run], height: int, width: int) -> NDArray[np.uint8]:
    """Draw the union of run lengths: uint8 (H, W), C order, 1 = inside."""
    return np.ascontiguousarray(draw(runs, height, width))


def draw(runs: list[Run], height: int, width: int) -> NDArray[np.uint8]:
    """Rasterise like `decode`, in the column-major order of pycocotools, for callers with a copy of their own."""
    if not runs:
        return np.zeros((height, width), np.uint8, order="F")
    drawn: NDArray[np.uint8] = coco.decode(coco.merge(runs) if len(runs) > 1 else runs[0])
    return drawn


def encode(mask: NDArray[np.uint8]) -> Run:
    """Compress a mask (H, W), 0 or 1, into run lengths; the exact inverse of `decode`."""
    run: Run = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return run


def _runs(shape: Outline | Polygon, height: int, width: int) -> list[Run]:
    """Return run lengths; their union is the outline's area; none for an empty outline."""
    if isinstance(shape, Polygon):
        return _polygon_runs(shape, height, width)
    return [shape.rle] if shape.rle is not None else ring_runs(shape.rings or (), height, width)


def _polygon_runs(polygon: Polygon, height: int, width: int) -> list[Run]:
    """Run lengths of the exterior minus the interiors; none for an empty polygon."""
    if polygon.is_empty:
        return []
    exterior = ring_runs([_open_ring(polygon.exterior)], height, width)
    if not polygon.interiors:
        return exterior
    holes = ring_runs([_open_ring(ring) for ring in polygon.interiors], height, width)
    return [encode(decode(exterior, height, width) & (1 - decode(holes, height, width)))]


def _open_ring(ring: Any) -> NDArray[np.float64]:
    """Vertices of a shapely ring without its repeated last point: float64 (n, 2)."""
    return np.asarray(ring.coords, np.float64)[:-1, :2]


MOST = 2**32 - 1  # pixels that pycocotools can count


def polygon_run(polygon: Polygon, height: int, width: int) -> Run:
    """Return compressed run lengths without holes, equal to `encode(rasterise([polygon], height, width))`.

    Args:
        polygon: pixel frame; cut at the border of the picture.
        height: of the picture in pixels.
        width: of the picture in pixels; height x width at most `MOST`.
    """
    low, high = np.floor(polygon.bounds[:2]), np.ceil(polygon.bounds[2:])
    left, top = (int(edge) for edge in np.clip(low - 1, 0, (width - 1, height - 1)))
    right, bottom = (int(edge) for edge in np.clip(high + 1, (left + 1, top + 1), (width, height)))
    moved = shapely.transform(polygon, lambda corners: np.subtract(corners, (left, top)))
    columns = np.pad(rasterise([moved], bottom - top, right - left).T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(columns, axis=1)
    # a run that ends with a column and one that starts the next column are one run: such changes come twice
    at, times = np.unique([(left + x) * height + top + y for x, y in np.argwhere(change).tolist()], return_counts=True)
    counts = np.diff(np.array([0, *at[times == 1], height * width], dtype=np.int64)).tolist()
    uncompressed = {"size": [height, width], "counts": counts if counts[-1] else counts[:-1]}
    run: Run = coco.frPyObjects(uncompressed, height, width)
    return run


def rings(polygon: Polygon) -> list[NDArray[np.float64]]:
    """Corners of a polygon, float64 (n, 2), without the first one again: the outer ring, then the holes."""
    return [np.asarray(ring.coords)[:-1] for ring in (polygon.exterior, *polygon.interiors)]


def run_area(run: Run) -> float:
    """Return the area of a run-length encoded mask in pixels."""
    return float(coco.area(run))


def run_box(run: Run) -> NDArray[np.float64]:
    """Return the bounding box of a run-length encoded mask: x, y, width, height in pixels, float64 (4,)."""
    box: NDArray[np.float64] = coco.toBbox(run)
    return box
