"""What do the roofs cost that labels leave out at the border of the Banepa test ground?

    python benchmarks/border.py SHARED_DATA [RUN]

Scores a run on the embedded test tiles, as evaluate.py does, and on the fine tiles over the same ground (zoom 19, made
half as large: 0.27 m), one view and the mean of several, in three ways: against the labels as published; where what
is found at the border and not drawn does not count (the `iscrowd` areas of `check_data.py fix=`); without that strip.
Brackets: 95 % of 1,000 draws of tiles.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from rooftop.audit.border import doubtful_areas, undrawn_borders
from rooftop.coco import open_index
from rooftop.data.splits import cells_of
from rooftop.inference import Predictor
from rooftop.inference.views import scale_factor, with_views
from rooftop.metrics.pixel import Counts, count, scores
from rooftop.raster.picture import list_pictures, read_mask, read_picture
from rooftop.raster.rasterise import decode
from rooftop.run import load

ROOT = Path(__file__).resolve().parents[1]
BANEPA = ROOT / "data/banepa"
GSD, FINE_GSD = 0.53, 0.27
FINE = 512  # px, side of a tile of zoom 19
DRAWS = 1000


def main(shared, run=ROOT / "pretrained/rooftop-unet"):
    predictor = Predictor(load(run))
    threshold = predictor.run.card.threshold
    print("| tiles | views | as published | border not judged | without the border |\n|---|---|---|---|---|")
    for title, gsd, tiles in (
        ("0.53 m", GSD, coarse()),
        ("0.27 m", FINE_GSD, fine(Path(shared) / "open/banepa_z19_test")),
    ):
        tiles = list(tiles)
        for views in (None, "flips", "scales"):
            ask = with_views(predictor.forward, factor=scale_factor(gsd, predictor.run.card), views=views)
            counts = [counted(ask(picture[None])[0, 0] >= threshold, mask, strip) for picture, mask, strip in tiles]
            cells = " | ".join(interval(ways) for ways in zip(*counts, strict=True))
            print(f"| {len(tiles)} at {title} | {views or 'one'} | {cells} |", flush=True)


def counted(found, mask, strip):
    """Pixels of a tile, counted in the three ways."""
    everywhere = np.ones_like(strip)
    return [count(found, mask > 0, valid) for valid in (everywhere, ~strip | (mask > 0), ~strip)]


def interval(tiles):
    rng = np.random.default_rng(0)
    draws = [iou([tiles[i] for i in rng.integers(0, len(tiles), len(tiles))]) for _ in range(DRAWS)]
    low, high = np.percentile(draws, (2.5, 97.5))
    return f"{iou(tiles):.3f} ({low:.3f} to {high:.3f})"


def iou(tiles):
    return scores(sum(tiles, Counts(0, 0, 0, 0)))["iou"]


def coarse():
    """Picture, mask and strip (bool, the doubtful border) of the embedded test tiles."""
    index, strips = borders()
    for row, name in enumerate(index.names):
        yield read_picture(BANEPA / "images/test" / name), index.truth(row, [100])[0][0], strips[row]


def fine(folder):
    """The same of the tiles of zoom 19 on this ground, at half their pixels a side."""
    index, strips = borders()
    rows = {tile_of(name): row for row, name in enumerate(index.names)}
    for path in list_pictures(folder / "images"):
        x, y = tile_of(path.name)
        side = FINE // 2
        picture = np.asarray(Image.fromarray(read_picture(path)).resize((side, side), Image.Resampling.BOX))
        mask = read_mask(folder / "masks" / f"{path.stem}.png").reshape(side, 2, side, 2).mean((1, 3)) >= 0.5
        whole = strips[rows[x // 2, y // 2]].repeat(2, axis=0).repeat(2, axis=1)
        yield picture, mask, whole[y % 2 * side : (y % 2 + 1) * side, x % 2 * side : (x % 2 + 1) * side]


def borders():
    index = open_index(BANEPA / "annotations/test.json", cache=ROOT / "outputs/.index")
    areas = doubtful_areas(index, undrawn_borders(index, cells_of(index.names)))
    strips = [np.zeros(size, bool) for size in index.sizes.tolist()]
    for row, things in areas.items():
        for thing in things:
            strips[row] |= decode([thing.rle], *strips[row].shape) > 0
    return index, strips


def tile_of(name):
    """Column and row of a slippy tile z_x_y."""
    return tuple(int(number) for number in Path(name).stem.split("_")[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
