"""A data set of synthetic towns: pictures and annotations, made in parallel; an interrupted run resumes.

Or one town as a large GeoTIFF, drawn block by block: memory grows only with the plan.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from rooftop.coco import Category, CocoObject, Picture, rounded, write_annotations
from rooftop.errors import DataError
from rooftop.files import read_json, write_json
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof
from rooftop.processes import end_with_parent
from rooftop.raster.georeference import Georeference
from rooftop.raster.picture import write_jpeg
from rooftop.raster.windows import Window
from rooftop.raster.write import Sheet, write_raster
from rooftop.towns.look import Look, draw_look
from rooftop.towns.plan import plan
from rooftop.towns.render import render
from rooftop.towns.town import Town

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
                found += rounded(part)
    return found


def place(gsd: float) -> Georeference:
    """Georeference of a scene: north up, in UTM."""
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


CATEGORY = Category(100, "building")
GOLDEN = 0.6180339887498949  # its multiples fill [0, 1) evenly, so that shares hold for any count
STAMP = "settings.json"
SCENE = 2**31  # number of the scene's town


@dataclass(frozen=True)
class Recipe:
    """Settings of the pictures; together with its number they fix a picture.

    size: of a picture, px. gsd: metres per pixel. seed: of everything. density: share of the lots that are built on.
    shares: of the pictures, by split; splits of share 0 are left out.
    """

    size: int
    gsd: float
    seed: int
    density: float
    shares: Mapping[str, float]

    def split(self, number: int) -> str:
        """The split of a picture; it does not depend on how many there are."""
        at, reached = number * GOLDEN % 1, 0.0
        for split, share in self.shares.items():
            reached += share
            if at < reached:
                return split
        return list(self.shares)[-1]

    def path(self, number: int) -> Path:
        """Return the path of a picture, relative to the folder."""
        return Path("images", self.split(number), f"town_{number:06d}.jpg")


def make_folder(
    folder: Path, recipe: Recipe, count: int, *, processes: int = 1, progress: Callable[[int], None]
) -> dict[str, dict[str, int]]:
    """Draw the missing pictures, and write the annotations of all.

    Args:
        folder: of the data set.
        recipe: how the pictures look.
        count: pictures in all.
        processes: number of parallel processes.
        progress: called with the number of finished pictures after each.

    Returns:
        pictures and buildings, by split.

    Raises:
        DataError: the folder contains pictures of another recipe.
    """
    _stamp(folder, recipe)
    found: dict[str, list[Picture]] = {split: [] for split in recipe.shares}
    draw = partial(_draw, folder, recipe)
    with ProcessPoolExecutor(max(processes, 1), None, end_with_parent, (os.getpid(),)) as pool:
        for done, picture in enumerate(pool.map(draw, range(count), chunksize=4), 1):
            found[recipe.split(picture.id)].append(picture)
            progress(done)
    for split, pictures in found.items():
        write_annotations(folder / "annotations" / f"{split}.json", _numbered(pictures), [CATEGORY])
    return {
        split: {"pictures": len(pictures), "buildings": sum(len(picture.objects) for picture in pictures)}
        for split, pictures in found.items()
    }


def make_scene(folder: Path, recipe: Recipe, size: int, *, progress: Callable[[int], None]) -> int:
    """Write `scene.tif`, its roofs as `scene.geojson` and `scene.coco.json`; an existing picture is kept.

    Args:
        folder: of the data set.
        recipe: how it looks.
        size: width and height in px.
        progress: called with the pixels of each drawn block.

    Returns:
        number of roofs.
    """
    _stamp(folder, recipe)
    seed = (recipe.seed, SCENE)
    town = plan(seed, size * recipe.gsd, size * recipe.gsd, density=recipe.density)
    polygons = outlines(town, Window(0, 0, size, size), gsd=recipe.gsd)
    path = folder / f"scene_{size}.tif"
    if not path.exists():
        write_scene(path, town, gsd=recipe.gsd, look=draw_look(seed), progress=progress)
    write_footprints(path.with_suffix(".geojson"), polygons, gsd=recipe.gsd, category=CATEGORY.name)
    write_annotations(path.with_suffix(".coco.json"), _numbered([_picture(1, path.name, size, polygons)]), [CATEGORY])
    return len(polygons)


def _stamp(folder: Path, recipe: Recipe) -> None:
    """Write the recipe of the pictures beside them."""
    path, mine = folder / STAMP, asdict(recipe)
    if path.exists() and read_json(path) != mine:
        raise DataError(f"{folder}: holds pictures of other settings (see {STAMP}); choose another hydra.run.dir.")
    write_json(path, mine)


def _draw(folder: Path, recipe: Recipe, number: int) -> Picture:
    """Draw one picture; a plain function can go to another process."""
    seed, length = (recipe.seed, number), recipe.size * recipe.gsd
    town, window = plan(seed, length, length, density=recipe.density), Window(0, 0, recipe.size, recipe.size)
    path = folder / recipe.path(number)
    if not path.exists():
        look = draw_look(seed)
        write_jpeg(path, render(town, window, gsd=recipe.gsd, look=look), quality=look.quality)
    return _picture(number, path.name, recipe.size, outlines(town, window, gsd=recipe.gsd))


def _picture(number: int, name: str, size: int, polygons: Iterable[Polygon]) -> Picture:
    objects = [
        CocoObject(0, CATEGORY.id, False, round(float(shape.area), 2), [np.asarray(shape.exterior.coords)[:-1]], None)
        for shape in polygons
    ]
    return Picture(number, name, size, size, objects)


def _numbered(pictures: Iterable[Picture]) -> Iterable[Picture]:
    """The same with annotations numbered from 1."""
    number = 0
    for picture in pictures:
        objects = []
        for thing in picture.objects:
            number += 1
            objects.append(CocoObject(number, thing.category_id, False, thing.area, thing.rings, None))
        yield Picture(picture.id + 1, picture.name, picture.height, picture.width, objects)
