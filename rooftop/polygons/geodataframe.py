"""Roofs as a GeoDataFrame, for people at home in geopandas (an extra: `pip install 'rooftop[geopandas]'`)."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import shapely

from rooftop.polygons.geojson import attributes
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def has_geopandas() -> bool:
    """Report whether geopandas is installed; it is not imported yet."""
    return find_spec("geopandas") is not None


def geodataframe(roofs: Sequence[Roof], *, ground: Ground, categories: Sequence[str]) -> "GeoDataFrame":
    """Make a row of each roof, in the reference system of its source; without one, in pixels.

    Args:
        roofs: of one source.
        ground: georeference and size of the pixels.
        categories: names by index.
    """
    from geopandas import GeoDataFrame

    empty = Roof(shapely.box(0, 0, 1, 1), 0, 0.0, 0.0, 0.0, 0.0)
    names = list(attributes(empty, ground, categories))  # the columns of a frame without roofs, too
    rows = [attributes(roof, ground, categories) for roof in roofs]
    polygons, place = [roof.polygon for roof in roofs], ground.georeference
    columns = {name: [row[name] for row in rows] for name in names}
    placed = shapely.transform(polygons, place.to_map) if place else polygons
    return GeoDataFrame(columns, geometry=list(placed), crs=place.crs if place else None)
