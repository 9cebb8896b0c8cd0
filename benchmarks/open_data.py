"""The open pictures as one data set with an outline for every single roof: what the shipped weights are trained on.

    python benchmarks/open_data.py SHARED_DATA [FOLDER]

A mask picture does not say where one roof ends and its neighbour begins. Where houses stand apart its connected parts
are the roofs; where they touch, parts are taken apart at their necks (`rooftop.polygons.separate`: 0.93 object F1 on
the true masks of the Banepa test tiles). The fine Banepa tiles get the footprints of the coarse ones over the same
ground.

Roofs that cross the outer border of the official areas are missing, in the coarse tiles south of the test ground all of
the northernmost 77 px (40 m). Such borders (`rooftop.audit.border`) become `iscrowd` areas, which are not judged, in
the fine tiles too; of fine tiles whose masks know more than the footprints the masks are used. The test tiles stay as
they were published.

Writes FOLDER/images/<source>/ and FOLDER/annotations/<source>.json; `conf/data/open.yaml` mixes them.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import shapely
from pycocotools import mask as coco
from scipy import ndimage
from shapely import Polygon

from rooftop.audit.border import doubtful_areas, undrawn_borders
from rooftop.coco import Category, CocoObject, Picture, measured, open_index, pictures, write_annotations
from rooftop.data.splits import cells_of
from rooftop.polygons.separate import separate
from rooftop.raster.picture import list_pictures, read_mask
from rooftop.raster.rasterise import encode, rasterise

ROOF = Category(id=100, name="building")
NECK = 0.85  # of true masks, by distance: results_predict.md
APART, TOUCHING = False, True
FINE = 512  # px, side of a tile of zoom 19
SAME = 0.9  # IoU of drawn footprints and mask from which on they agree
FRAME = shapely.box(0, 0, FINE, FINE)
MASKS = {  # source -> folder, start of the stems, do its roofs touch?
    "austin": ("benchmarks", "inria_austin", APART),
    "chicago": ("benchmarks", "inria_chicago", APART),
    "kitsap": ("benchmarks", "inria_kitsap", APART),
    "tyrol": ("benchmarks", "inria_tyrol", APART),
    "vienna": ("benchmarks", "inria_vienna", TOUCHING),
    "crowdai": ("benchmarks", "crowdai", APART),
    "zealand": ("benchmarks", "nzlnd", APART),
    "spacenet": ("benchmarks", "spacenet", TOUCHING),
    "whu": ("benchmarks", "whu", TOUCHING),
    "geneva": ("open/geneva_pv", "", APART),
    "africa": ("open/fair2022_set1", "19_", TOUCHING),
    "africa_town": ("open/fair2022_set2", "19_", TOUCHING),
    "philippines": ("open/fair2022_set4", "19_", TOUCHING),
    "banepa_around": ("open/fair2022_set3", "19_", TOUCHING),
}
ANNOTATED = {  # source -> folder of the pictures, annotations
    "crowdai_original": ("open/crowdai_train20/images", "open/crowdai_train20/annotation.json"),
    "banepa": ("banepa/images/train", "banepa/annotations/train.json"),
    "banepa_test": ("banepa/images/test", "banepa/annotations/test.json"),
}
TEST = "banepa_test"


def main(shared, folder="outputs/open"):
    shared, folder = Path(shared), Path(folder)
    for name, (images, start, touching) in MASKS.items():
        write(folder, name, from_masks(shared / images, start, touching))
    for name, (images, annotations) in ANNOTATED.items():
        index = open_index(shared / annotations, cache=folder / ".index")
        content = pictures(index) if name == TEST else with_borders(index)
        write(folder, name, ((shared / images / picture.name, picture) for picture in content))
    coarse = with_borders(open_index(shared / ANNOTATED["banepa"][1], cache=folder / ".index"))
    write(folder, "banepa_fine", finer(shared / "open/banepa_z19_train", coarse))


def write(folder, name, content):
    """Copy the pictures of a source and write its annotations."""
    (folder / "images" / name).mkdir(parents=True, exist_ok=True)
    found = []

    def copied() -> Iterator[Picture]:
        for path, picture in content:
            shutil.copyfile(path, folder / "images" / name / path.name)
            found.append(len(picture.objects))
            yield picture

    write_annotations(folder / "annotations" / f"{name}.json", copied(), [ROOF])
    print(f"{name}: {len(found)} pictures, {sum(found)} roofs", flush=True)


def with_borders(index):
    """Pictures, with the borders at which roofs are missing marked as not judged."""
    borders = undrawn_borders(index, cells_of(index.names))
    doubtful = doubtful_areas(index, borders)
    for row, picture in enumerate(pictures(index)):
        yield replace(picture, objects=[*picture.objects, *doubtful.get(row, ())])


def from_masks(folder, start, touching):
    """Pictures whose stem begins with `start`, each with the roofs of its mask."""
    numbers = count(1)
    masks = {path.stem: path for path in list_pictures(folder / "masks")}
    for i, path in enumerate([path for path in list_pictures(folder / "images") if path.stem.startswith(start)], 1):
        mask = read_mask(masks[path.stem])
        yield path, Picture(i, path.name, *mask.shape, [*roofs_of(mask, touching, numbers)])


def roofs_of(mask, touching, numbers):
    labels = separate(mask, ratio=NECK) if touching else ndimage.label(mask, np.ones((3, 3)))[0]
    for label in range(1, labels.max() + 1):
        roof = (labels == label).astype(np.uint8)
        yield CocoObject(next(numbers), ROOF.id, False, float(roof.sum()), None, encode(roof))


def finer(folder, coarse_tiles):
    """Tiles of the next zoom at twice the pixels a tile, with the annotations of the tiles they are quarters of."""
    numbers = count(1)
    coarse = {tile_of(picture.name): picture for picture in coarse_tiles}
    for i, path in enumerate(list_pictures(folder / "images"), 1):
        x, y = tile_of(path.name)
        mask = read_mask(folder / "masks" / f"{path.stem}.png")
        parent, corner = coarse[x // 2, y // 2], (x % 2 * FINE, y % 2 * FINE)
        rings = [ring * 4 - corner for o in parent.objects if not o.is_crowd for ring in o.rings]
        objects = [*cut(rings, numbers)]
        drawn = rasterise(objects, FINE, FINE)
        if (drawn & mask).sum() < SAME * (drawn | mask).sum():
            objects = [*roofs_of(mask, TOUCHING, numbers)]
        else:
            objects += [quarter(o, parent, corner, numbers) for o in parent.objects if o.is_crowd]
        yield path, Picture(i, path.name, FINE, FINE, objects)


def quarter(area, parent, corner, numbers):
    """What a fine tile sees of an area of its coarse tile."""
    whole = rasterise([area], parent.height, parent.width).repeat(4, axis=0).repeat(4, axis=1)
    run = encode(np.ascontiguousarray(whole[corner[1] : corner[1] + FINE, corner[0] : corner[0] + FINE]))
    return CocoObject(next(numbers), ROOF.id, True, float(coco.area(run)), None, run)


def cut(rings, numbers):
    """The parts of footprints that lie in a fine tile."""
    inside = [shapely.intersection(shapely.make_valid(Polygon(ring)), FRAME) for ring in rings]
    for part in shapely.get_parts(shapely.get_parts(inside)):  # twice: a collection may hold several polygons as one
        if part.geom_type == "Polygon" and not part.is_empty:
            ring = shapely.get_coordinates(part.exterior)[:-1]
            roof = measured(CocoObject(next(numbers), ROOF.id, False, 0.0, [ring], None), FINE, FINE)
            if roof.area:  # else a sliver at the tile's edge that covers no pixel
                yield roof


def tile_of(name):
    """Column and row of a slippy tile z_x_y."""
    return tuple(int(number) for number in Path(name).stem.split("_")[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
