"""A small object in a large picture as COCO says it, without ever drawing the picture."""

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco
from shapely import Polygon

from rooftop.raster.rasterise import Run, rasterise

MOST = 2**32 - 1  # pixels that pycocotools can count


def polygon_run(polygon: Polygon, height: int, width: int) -> Run:
    """Compressed run lengths, holes left out, as `encode(rasterise([polygon], height, width))` gives them.

    Args:
        polygon: pixel frame; what lies outside of the picture is cut off.
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
