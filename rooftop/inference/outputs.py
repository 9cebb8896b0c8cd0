"""Every file that shows roofs as outlines."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rooftop.coco import Result, write_results
from rooftop.inference.job import Job
from rooftop.inference.sources import Source
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof, Spool
from rooftop.polygons.webmap import write_map
from rooftop.raster.rasterise import rasterise
from rooftop.raster.runs import MOST, polygon_run, rings

Found = tuple[str, tuple[int, int], Iterable[Roof]]
"""Name of a picture's file, its (height, width), its roofs."""


def write_outlines(
    job: Job,
    stem: str,
    roofs: Iterable[Roof],
    *,
    scene: tuple[int, int, Ground, NDArray[np.uint8]],
) -> None:
    """Write GeoJSON, a GeoPackage where there is a place on the map, and a map of each scene or of the one picture.

    Args:
        job: where files go.
        stem: of the source.
        roofs: read once for each file.
        scene: height and width in pixels, what a pixel is on the ground, a (thinned-out) picture.
    """
    height, width, ground, picture = scene
    categories = job.categories
    write_geojson(job.path("roofs.geojson", stem), roofs, ground=ground, categories=categories)
    if ground.georeference:
        write_geopackage(job.path("roofs.gpkg", stem), roofs, ground=ground, categories=categories)
    if job.single or ground.georeference:
        about = (stem, height, width, ground)
        write_map(job.path("map.html", stem), roofs, picture, scene=about, categories=categories)


def countable(height: int, width: int) -> bool:
    """Whether COCO's run lengths can number the pixels of so large a scene."""
    return height * width <= MOST


def write_coco(path: Path, found: Iterable[Found], categories: Sequence[str]) -> None:
    """Write the roofs of all sources as COCO results; ids count from 1, and names stand beside them.

    A scene of more than 2**32 pixels is left out, see `countable`.
    """
    write_results(path, _results(found, categories))


def _results(found: Iterable[Found], categories: Sequence[str]) -> Iterator[Result]:
    for number, (name, (height, width), roofs) in enumerate(found, 1):
        if countable(height, width):
            for roof in roofs:
                run, outline = polygon_run(roof.polygon, height, width), rings(roof.polygon)
                names = {"picture": name, "category": categories[roof.category]}
                yield Result(number, roof.category + 1, round(roof.confidence, 4), run, outline, **names)


def drawn(roofs: Iterable[Roof], scene: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Mask uint8 (height, width) = `size` of the roofs of a scene (height, width) that is thinned out to that size."""
    mask = np.zeros(size, np.uint8)
    scale = size[1] / scene[1], size[0] / scene[0]
    for roof in roofs:
        small = shapely.transform(roof.polygon, lambda corners: corners * scale)
        left, top = np.maximum(np.floor(small.bounds[:2]), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(small.bounds[2:]), (size[1], size[0])).astype(int).tolist()
        if right > left and bottom > top:
            moved = shapely.transform(small, lambda corners, corner=(left, top): np.subtract(corners, corner))
            mask[top:bottom, left:right] |= rasterise([moved], bottom - top, right - left)
    return mask


def summary_row(
    source: Source, size: Sequence[int], *, ground: Ground, pixels: tuple[int, int], roofs: Spool
) -> dict[str, Any]:
    """What is told of every source.

    Args:
        source: where it came from.
        size: height and width in pixels.
        ground: what a pixel is on the ground.
        pixels: how many are roof, and how many have data.
        roofs: that were found.
    """
    return {
        "picture": source.path,
        "height": size[0],
        "width": size[1],
        "metres_per_pixel": ground.gsd,
        "roofs": len(roofs),
        f"roof_{ground.unit}2": round(sum(roof.area for roof in roofs), 1),
        "roof_pixels": pixels[0],
        "valid_pixels": pixels[1],
        "roof_share": pixels[0] / max(pixels[1], 1),
    }


def scaled_by(factor: float | None) -> float | None:
    """By how much the network saw a source larger, to three digits; None = as it is."""
    return factor and round(factor, 3)
