"""Checked squares as training pictures: one tile a square, at the resolution of its source.

A tile shows a margin around its square. Roofs that reach into the square stay whole up to the edge of the tile, so
that their shapes near its border are right; nothing outside the square, or without data, is judged.

    <folder>/images/*   annotation.json   squares.json
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, repeat
from pathlib import Path

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.adaptation.corrections import Corrections, Site, Square, pixel_of, wide_parts, window_around
from rooftop.coco import CocoObject, Picture, open_index, pictures, write_annotations
from rooftop.errors import DataError, brief
from rooftop.files import atomic_write, require_file, temporary_folder
from rooftop.raster.rasterise import rasterise
from rooftop.raster.region import polygons_of
from rooftop.raster.windows import Window
from rooftop.tiling.tiles import CATEGORY, OUTSIDE, Raster, building, known_ground, open_raster, outside

MARGIN = 8.0  # metres around a square that a network may look at
_DECIMALS = 8  # of a degree: about a millimetre
_COVERED = 0.5  # share of an earlier square, from which new ones replace it
_SLACK = 1e-6  # of the longest side, for rounding
Rings = list[list[tuple[float, float]]]


class Tile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tile of one checked square.

    Attributes:
        file: name in `images`.
        source: file name of the raster.
        gsd: metres on the ground of a pixel, mean of both directions.
        column: of the first pixel of the tile, in the source.
        row: of the first pixel of the tile, in the source.
        width: of the tile in pixels.
        height: of the tile in pixels.
        roofs: number of those that reach into the square.
        square: outline in the pixel frame of the tile: outer ring, then holes; the first point is repeated at the end.
        outline: the same in longitude and latitude on WGS 84.
    """

    file: str
    source: str
    gsd: float
    column: int
    row: int
    width: int
    height: int
    roofs: int
    square: Rings
    outline: Rings

    @property
    def polygon(self) -> Polygon:
        """The square in the pixel frame of the tile."""
        return Polygon(self.square[0], self.square[1:])

    @property
    def ground(self) -> BaseGeometry:
        """The square in longitude and latitude, valid; rounding may part it at a neck."""
        return shapely.make_valid(Polygon(self.outline[0], self.outline[1:]))


def write_squares(
    folder: Path, corrections: Corrections, *, largest: float = 120.0, crs: str | None = None
) -> list[Tile]:
    """Write the tiles of all checked squares; the folder appears whole, in place of an older one.

    Args:
        folder: of the tiles.
        corrections: squares and roofs of the sources.
        largest: side in metres; larger ground is cut into a grid of about equal squares.
        crs: reference system of sources without one, e.g. "EPSG:32645".

    Raises:
        SourceError: a source cannot be read.
        DataError: the folder holds other files.
    """
    with temporary_folder(folder.parent) as aside:
        (aside / "images").mkdir()
        tiles: list[Tile] = []
        drawn = _drawn(aside / "images", corrections, tiles, largest=largest, crs=crs)
        write_annotations(aside / "annotation.json", drawn, [CATEGORY, OUTSIDE])
        _publish(aside, folder, tiles)
    return tiles


def read_squares(folder: Path) -> list[Tile]:
    """Read the tiles of a folder.

    Raises:
        DataError: `squares.json` or a picture is missing, or the file is damaged.
    """
    path = folder / "squares.json"
    require_file(path, DataError)
    try:
        tiles = msgspec.json.decode(path.read_bytes(), type=list[Tile])
        bad = [tile.file for tile in tiles if not tile.polygon.is_valid or tile.ground.is_empty]
    except (msgspec.DecodeError, ValueError, IndexError, UnicodeError) as error:
        raise DataError(f"{path}: not the squares of a round of corrections ({error}); write them again.") from error
    bad += [tile.file for tile in tiles if Path(tile.file).name != tile.file or tile.gsd <= 0]
    if bad:
        raise DataError(f"{path}: the square of {brief(bad[0])} is damaged; write them again.")
    for tile in tiles:
        require_file(folder / "images" / tile.file, DataError)
    return tiles


def with_earlier(folder: Path, earlier: Path) -> list[Tile]:
    """Add the tiles of an earlier round, all but those on ground that was checked again.

    Args:
        folder: of the new tiles; it is replaced as a whole.
        earlier: folder of the earlier ones; it stays.

    Returns:
        All tiles, new ones first.

    Raises:
        DataError: one of the folders is damaged.
    """
    new, old = read_squares(folder), read_squares(earlier)
    ground = shapely.union_all([tile.ground for tile in new])
    kept = [tile for tile in old if shapely.area(tile.ground & ground) <= _COVERED * tile.ground.area]
    taken = {tile.file for tile in new}
    named = {tile.file: _free_name(tile.file, taken) for tile in kept}
    with temporary_folder(folder.parent) as aside, temporary_folder(folder.parent) as cache:
        (aside / "images").mkdir()
        for tile in new:
            shutil.copyfile(folder / "images" / tile.file, aside / "images" / tile.file)
        for tile in kept:
            shutil.copyfile(earlier / "images" / tile.file, aside / "images" / named[tile.file])
        same = {tile.file: tile.file for tile in new}
        both = [*_annotated(folder, same, cache), *_annotated(earlier, named, cache)]
        write_annotations(aside / "annotation.json", _renumbered(both), [CATEGORY, OUTSIDE])
        tiles = [*new, *(msgspec.structs.replace(tile, file=named[tile.file]) for tile in kept)]
        _publish(aside, folder, tiles)
    return tiles


# --- one tile ---


def _drawn(
    images: Path, corrections: Corrections, tiles: list[Tile], *, largest: float, crs: str | None
) -> Iterator[Picture]:
    """Write the pictures, and yield their annotations; append to `tiles`."""
    taken: set[str] = set()
    numbers = count(1)
    for site in corrections.sites:
        if not site.squares:
            continue
        with open_raster(str(site.path), crs) as raster:
            for square in (part for whole in site.squares for part in cut(whole, site, largest)):
                wide, high = pixel_of(site, square.outline)
                window = window_around(square.outline, site.size, (MARGIN / wide, MARGIN / high))
                name = f"{site.path.stem}_{window.row:06d}_{window.column:06d}{raster.suffix}"
                file = _free_name(name, taken)
                objects = _objects(raster, window, square, images / file)
                tiles.append(_tile(file, site, window, square, gsd=float(np.sqrt(wide * high))))
                numbered = [replace(thing, annotation_id=next(numbers)) for thing in objects]
                yield Picture(len(tiles), file, window.height, window.width, numbered)


def _objects(raster: Raster, window: Window, square: Square, path: Path) -> list[CocoObject]:
    """Write the picture of a tile, and return its annotations without ids."""
    valid, write = raster.cut(window)
    write(path)
    known = known_ground(valid)
    shapes = [shapely.intersection(_moved(roof, window), known) for roof in square.roofs]
    objects = [thing for shape in shapes for part in polygons_of(shape) for thing in building(part, window)]
    inside = rasterise([_moved(square.outline, window)], window.height, window.width).astype(bool)
    judged: NDArray[np.bool_] = valid & inside
    return objects if judged.all() else [*objects, *outside(repeat(0), judged)]


def _tile(file: str, site: Site, window: Window, square: Square, *, gsd: float) -> Tile:
    degrees = shapely.transform(square.outline, lambda at: site.georeference.to_lonlat(at).round(_DECIMALS))
    return Tile(
        file,
        site.path.name,
        gsd,
        window.column,
        window.row,
        window.width,
        window.height,
        len(square.roofs),
        _rings(_moved(square.outline, window)),
        _rings(degrees),
    )


def _moved(shape: Polygon, window: Window) -> Polygon:
    found: Polygon = shapely.transform(shape, lambda at: np.subtract(at, (window.column, window.row)))
    return found


def _rings(polygon: Polygon) -> Rings:
    return [[(x, y) for x, y in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]


def cut(square: Square, site: Site, largest: float) -> Iterator[Square]:
    """Cut ground larger than `largest` metres into a grid of about equal squares, with the roofs of each."""
    left, top, right, bottom = square.outline.bounds
    wide, high = pixel_of(site, square.outline)
    metres = np.array([(right - left) * wide, (bottom - top) * high])
    columns, rows = np.ceil(metres / largest - _SLACK).astype(int).clip(1).tolist()
    if columns == rows == 1:
        yield square
        return
    x, y = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
    roofs = np.array(square.roofs, object)
    tree = shapely.STRtree(roofs)
    shapely.prepare(square.outline)
    for i in range(rows):
        for k in range(columns):
            cell = shapely.intersection(square.outline, shapely.box(x[k], y[i], x[k + 1], y[i + 1]))
            for part in wide_parts(cell, site):
                near = np.sort(tree.query(part, predicate="intersects"))
                yield Square(part, roofs[near].tolist())


# --- the folder ---


def _publish(aside: Path, folder: Path, tiles: Sequence[Tile]) -> None:
    """Finish a hidden folder, and put it in the place of `folder`."""
    if folder.exists() and not (folder / "squares.json").is_file() and any(folder.iterdir()):
        raise DataError(f"{folder}: holds other files; name another folder.")
    with atomic_write(aside / "squares.json") as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(tiles), indent=1) + b"\n")
    with temporary_folder(folder.parent) as old:
        if folder.exists():
            folder.replace(old / "old")
        aside.replace(folder)


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken; it is taken then."""
    path = Path(name)
    names = (name, *(f"{path.stem}_{i}{path.suffix}" for i in range(2, len(taken) + 3)))
    free = next(each for each in names if each not in taken)
    taken.add(free)
    return free


def _annotated(folder: Path, named: dict[str, str], cache: Path) -> list[Picture]:
    """The annotations of a folder under new names of its pictures."""
    index = open_index(folder / "annotation.json", cache=cache)
    found = {picture.name: picture for picture in pictures(index)}
    if missing := sorted({*named} - {*found}):
        raise DataError(f"{folder / 'annotation.json'}: has no picture {brief(missing[0])}; write the squares again.")
    return [replace(found[old], name=new) for old, new in named.items()]


def _renumbered(found: Sequence[Picture]) -> Iterator[Picture]:
    numbers = count(1)
    for i, picture in enumerate(found, 1):
        yield replace(picture, id=i, objects=[replace(thing, annotation_id=next(numbers)) for thing in picture.objects])
