"""A town as one large GeoTIFF, drawn block by block: memory does not grow with its size beyond the plan."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof
from rooftop.raster.georeference import Georeference
from rooftop.raster.windows import Window
from rooftop.raster.write import Sheet, write_raster
from rooftop.towns.kinds import Town
from rooftop.towns.look import Look
from rooftop.towns.render import render

LEAST = 4.0  # square pixels: less of a roof inside a picture is not marked
_ZONE, _ORIGIN = 32645, (400_000.0, 3_060_000.0)  # UTM 45 north; where the town would stand


def outlines(town: Town, window: Window, *, gsd: float) -> list[Polygon]:
    """Exact outlines of the roofs in a window, in its pixel frame, cut at its border, to a hundredth of a pixel."""
    frame = shapely.box(0, 0, window.width, window.height)
    found = []
    for building in town.buildings:
        placed = shapely.transform(building.footprint, lambda points: points / gsd - (window.column, window.row))
        for part in shapely.get_parts(placed & frame):
            if part.geom_type == "Polygon" and part.area >= LEAST:
                found.append(shapely.transform(part, lambda points: np.round(points, 2) + 0.0))
    return found


def place(gsd: float) -> Georeference:
    """Where a scene lies on the map: north up, in UTM."""
    return Georeference.north_up(_ZONE, _ORIGIN, gsd)


def write_scene(path: Path, town: Town, *, gsd: float, look: Look, progress: Callable[[int], None]) -> None:
    """Write the picture; progress is told the pixels of each block."""
    height, width = round(town.height / gsd), round(town.width / gsd)

    def block(window: Window) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        progress(window.width * window.height)
        return np.moveaxis(render(town, window, gsd=gsd, look=look), -1, 0)

    write_raster(path, Sheet(height, width, place(gsd), ("red", "green", "blue")), block)


def write_footprints(path: Path, polygons: Sequence[Polygon], *, gsd: float, category: str) -> None:
    """Write the roofs of a scene as GeoJSON."""
    ground = Ground(place(gsd), gsd)
    write_geojson(path, _roofs(polygons, ground), ground=ground, categories=[category])


def _roofs(polygons: Sequence[Polygon], ground: Ground) -> Iterator[Roof]:
    for polygon in polygons:
        area, perimeter = ground.measure(polygon)
        yield Roof(polygon, 0, 1.0, area=area, perimeter=perimeter, orientation=ground.orientation(polygon))
