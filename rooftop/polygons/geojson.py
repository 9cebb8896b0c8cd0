"""GeoJSON as RFC 7946 wants it: degrees on WGS 84, outlines counter-clockwise, cut at the antimeridian."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box

from rooftop.files import atomic_write
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

_DECIMALS = 8  # of a degree: about a millimetre
_WEST, _EAST = box(-180, -90, 180, 90), box(180, -90, 540, 90)


def write_geojson(
    path: Path,
    roofs: Iterable[Roof],
    *,
    ground: Ground,
    categories: Sequence[str],
    about: Mapping[str, str] | None = None,
) -> None:
    """Write roofs with their attributes, atomically, one feature per line.

    Without georeference, coordinates are pixels, x right and y down, and the file contains `"frame": "pixels"`.

    Args:
        path: of the file.
        roofs: iterated once.
        ground: georeference and size of the pixels.
        categories: names by index.
        about: provenance, for the head of the file.
    """
    head = f'"about": {json.dumps(dict(about), ensure_ascii=False)}, ' if about else ""
    frame = "" if ground.georeference else '"frame": "pixels, x right, y down, no place on the map", '
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", {head}{frame}"features": [\n')
        for i, feature in enumerate(features(roofs, ground, categories)):
            file.write((",\n" if i else "") + json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")


def attributes(roof: Roof, ground: Ground, categories: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of a roof, rounded to their precision."""
    return {
        "category": categories[roof.category],
        "confidence": round(roof.confidence, 3),
        f"area_{ground.unit}2": round(roof.area, 2),
        f"perimeter_{ground.unit}": round(roof.perimeter, 2),
        "orientation": round(roof.orientation, 1) % 180,
    }


def features(roofs: Iterable[Roof], ground: Ground, categories: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the features of a GeoJSON file, in degrees, or in pixels without georeference."""
    for i, roof in enumerate(roofs, 1):
        shape = _placed(roof.polygon, ground)
        geometry = {"type": shape.geom_type, "coordinates": shapely.geometry.mapping(shape)["coordinates"]}
        yield {"type": "Feature", "id": i, "properties": attributes(roof, ground, categories), "geometry": geometry}


def _placed(polygon: Polygon, ground: Ground) -> Polygon | MultiPolygon:
    if ground.georeference is None:
        return polygon
    degrees = shapely.transform(polygon, ground.georeference.to_lonlat)
    rounded = shapely.transform(degrees, lambda corners: np.round(corners, _DECIMALS))
    chosen = rounded if rounded.is_valid else degrees
    return shapely.orient_polygons(_cut(chosen), exterior_cw=False)


def _cut(polygon: Polygon) -> Polygon | MultiPolygon:
    """Cut in two at the antimeridian: longitudes jump from 180 to -180 or exceed 180."""
    west, _, east, _ = polygon.bounds
    if east - west < 180 and west >= -180 and east <= 180:
        return polygon
    jumps = east - west >= 180 or west < -180
    unrolled = shapely.transform(polygon, _from_0_to_360) if jumps else polygon
    beyond = shapely.transform(unrolled & _EAST, lambda corners: np.subtract(corners, (360, 0)))
    parts = [part for half in (unrolled & _WEST, beyond) for part in shapely.get_parts(half)]
    halves = [part for part in parts if isinstance(part, Polygon) and not part.is_empty]
    return MultiPolygon(halves) if len(halves) > 1 else halves[0]


def _from_0_to_360(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return corners + np.where(corners[:, :1] < 0, (360, 0), (0, 0))
