"""Roofs, and squares to look at first, over the picture in one self-contained HTML file: pan, pinch, tap."""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from shapely import Polygon

from rooftop.files import atomic_write
from rooftop.polygons.check_first import Square
from rooftop.polygons.geojson import attributes
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

_TEMPLATE = Path(__file__).with_name("map.html")
_GRID = 9  # points along each side of the picture with known longitude and latitude
_QUALITY = 82  # of the JPEG, in percent


def write_map(
    path: Path,
    roofs: Iterable[Roof],
    picture: NDArray[np.uint8],
    *,
    scene: tuple[str, int, int, Ground],
    categories: Sequence[str],
    squares: Sequence[Square] = (),
) -> None:
    """Write the map, atomically.

    Args:
        path: of the file.
        roofs: iterated once.
        picture: uint8 (h, w, 3), the scene or a thinned-out picture of it.
        scene: title, height and width in pixels, ground of the pixels.
        categories: names by index.
        squares: to look at first.
    """
    title, height, width, ground = scene
    about = {"title": title, "width": width, "height": height, "gsd": ground.gsd, "picture": _data_address(picture)}
    about |= {"lonlat": _lonlat(ground, height, width)}
    about |= {"squares": [[square.reason, *_rings(square.polygon)] for square in squares]}
    before, between, behind = _split(_TEMPLATE.read_text(encoding="utf-8"))
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(before + _script(about) + between)
        for i, roof in enumerate(roofs):
            words = "\n".join(f"{name}: {value}" for name, value in attributes(roof, ground, categories).items())
            file.write((",\n" if i else "") + _script([words, *_rings(roof.polygon)]))
        file.write(behind)


def _split(template: str) -> tuple[str, str, str]:
    before, rest = template.split("/*MAP*/")
    between, behind = rest.split("/*ROOFS*/")
    return before, between, behind


def _lonlat(ground: Ground, height: int, width: int) -> list[list[list[float]]] | None:
    """Longitude and latitude on a grid over the picture, rows from above, to interpolate between; None: no place."""
    if ground.georeference is None:
        return None
    x, y = np.meshgrid(np.linspace(0, width, _GRID), np.linspace(0, height, _GRID))
    degrees = ground.georeference.to_lonlat(np.column_stack([x.ravel(), y.ravel()]))
    if not np.isfinite(degrees).all() or np.ptp(degrees[:, 0]) > 180:  # beyond the map, or across the antimeridian
        return None
    return np.round(degrees, 7).reshape(_GRID, _GRID, 2).tolist()


def _rings(polygon: Polygon) -> list[list[float]]:
    """Corners to a tenth of a pixel, x and y in turn."""
    rings = (polygon.exterior, *polygon.interiors)
    return [np.round(shapely.get_coordinates(ring)[:-1], 1).ravel().tolist() for ring in rings]


def _data_address(picture: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _script(content: object) -> str:
    """Return JSON for a script element: no text in it can end the script."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
