"""Place on the map of slippy tiles (XYZ), told by their names: `z_x_y`, `z-x-y`, or folders `z/x/y`.

Zoom z cuts the square of web maps (EPSG:3857) into 2^z columns x from the west and rows y from the north. A name counts
if its tile is square, of a zoom that shows roofs, and outside the polar regions, where nobody has such pictures: row
and column numbers of other pictures hardly pass for tiles. Rows counted from the south (TMS) cannot be told apart.
"""

import math
import re
from pathlib import Path

from rooftop.raster.georeference import Georeference

_NAME = re.compile(r"(\d{1,2})([_-])(\d{1,8})\2(\d{1,8})(?:@\dx)?")
_ROW = re.compile(r"(\d{1,8})(?:@\dx)?")
_ZOOMS = range(14, 25)  # pixels of 10 m to 1 cm at the equator, in tiles of 256 px
_WORLD = 2 * math.pi * 6378137.0  # map units of EPSG:3857 around the equator
_FARTHEST = 75.0  # degrees of latitude
_NORTH = math.asinh(math.tan(math.radians(_FARTHEST))) / (2 * math.pi)  # the same, as a share of the square

Tile = tuple[int, int, int]


def tile_of(path: Path) -> Tile | None:
    """Return zoom, column and row of a tile by its name, or by those of its folders; None: not a tile."""
    named = _NAME.fullmatch(path.stem)
    numbers = [named[1], named[3], named[4]] if named else [*path.parts[-3:-1], path.stem.partition("@")[0]]
    if len(numbers) != 3 or not all(part.isascii() and part.isdecimal() for part in numbers):
        return None
    if not named and not (_ROW.fullmatch(path.stem) and len(numbers[0]) <= 2):
        return None
    zoom, column, row = map(int, numbers)
    if zoom not in _ZOOMS or column >= 2**zoom or abs((row + 0.5) / 2**zoom - 0.5) > _NORTH:
        return None
    return zoom, column, row


def tile_georeference(path: Path, height: int, width: int) -> Georeference | None:
    """Return the georeference of a tile of that size in pixels; None: not a tile."""
    tile = tile_of(path) if height == width else None
    if tile is None:
        return None
    zoom, column, row = tile
    side = _WORLD / 2**zoom
    corner = column * side - _WORLD / 2, _WORLD / 2 - row * side
    return Georeference.north_up(3857, corner, side / width)
