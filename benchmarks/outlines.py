"""Which outlines come nearest to drawn ones? Ours, plain simplification, and PyPI's buildingregulariser.

    pip install buildingregulariser
    python benchmarks/outlines.py                              # from the truth masks of the Banepa test tiles
    python benchmarks/outlines.py --run pretrained/rooftop-unet    # from a run's prediction of them

The same labelled masks go five ways; outlines are scored against the OpenStreetMap polygons of the annotations. "lost"
is the share of the labelled area on which no outline lies any more or two do: gaps and overlaps between neighbours
among them.
"stepped" is the pixel outline itself; "simplify" is GEOS' topology-preserving Douglas-Peucker, which GDAL offers too.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from rooftop.coco import open_index
from rooftop.inference.predictor import Predictor
from rooftop.metrics.pixel import count, scores
from rooftop.metrics.polygons import COLUMNS, count_polygons, polygon_scores
from rooftop.polygons.separate import separate
from rooftop.polygons.simplify import simplified
from rooftop.polygons.square import squared
from rooftop.raster.picture import read_picture
from rooftop.raster.polygonise import polygonise_labels
from rooftop.raster.rasterise import rasterise
from rooftop.run import load

TOLERANCE, ANGLE, SHIFT = 1.0, 20.0, 2.0  # px, degrees, px: those of conf/polygons/square.yaml
RATIO = 0.85  # of true masks, by distance: results_predict.md
SMALLEST = 16  # px
Outlines = Callable[[Sequence[Polygon]], Sequence[Polygon]]


def regularised(polygons: Sequence[Polygon]) -> list[Polygon]:
    """PyPI's buildingregulariser with its own settings, one pixel as one metre."""
    import geopandas
    from buildingregulariser import regularize_geodataframe

    frame = geopandas.GeoDataFrame(geometry=list(polygons), crs="EPSG:3857")
    found = regularize_geodataframe(frame, simplify_tolerance=TOLERANCE, num_cores=1)
    return [part for item in found.geometry for part in getattr(item, "geoms", [item])]


WAYS: dict[str, Outlines] = {
    "stepped": lambda polygons: polygons,
    "simplify (GEOS, GDAL)": lambda polygons: list(shapely.simplify(np.array(polygons), TOLERANCE)),
    "rooftop, simple": lambda polygons: simplified(polygons, TOLERANCE).polygons(),
    "rooftop, square": lambda polygons: squared(simplified(polygons, TOLERANCE), angle=ANGLE, shift=SHIFT).polygons(),
    "buildingregulariser": regularised,
}


def labelled(mask: np.ndarray) -> list[Polygon]:
    """Roofs of a mask taken apart, as stepped outlines."""
    found = [polygon for _, polygon in polygonise_labels(separate(mask, ratio=RATIO))]
    return [polygon for polygon in found if polygon.area >= SMALLEST]


def lost(outlines: Sequence[Polygon], stepped: Sequence[Polygon]) -> float:
    """Area of gaps and overlaps, as a share of the labelled area."""
    before, union = shapely.union_all(np.array(stepped)), shapely.union_all(shapely.make_valid(np.array(outlines)))
    overlap = float(shapely.area(np.array(outlines)).sum()) - union.area
    return (before.difference(union).area + overlap) / before.area


def main() -> None:
    """Score each way over all tiles and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--root", type=Path, default=Path("data/banepa"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    run = load(options.run) if options.run else None
    predictor = Predictor(run, device="cpu") if run else None
    index = open_index(options.root / "annotations" / "test.json")
    ids = index.category_ids(None)
    rows = {way: np.zeros(len(COLUMNS)) for way in WAYS}
    seconds, gaps = dict.fromkeys(WAYS, 0.0), {way: list[float]() for way in WAYS}
    invalid = dict.fromkeys(WAYS, 0)
    for i in range(len(index)):
        truth, valid = index.truth(i, ids)
        mask = truth[0]
        if predictor and run:
            picture = read_picture(options.root / "images" / "test" / index.names[i])
            mask = (predictor.probability(picture)[0] >= run.card.threshold).astype(np.uint8)
        drawn = [Polygon(ring) for thing in index.objects(i) for ring in thing.rings or []]
        true = [part for item in map(shapely.make_valid, drawn) for part in getattr(item, "geoms", [item])]
        true = [part for part in true if isinstance(part, Polygon) and part.area >= SMALLEST]
        stepped = labelled(mask)
        if not stepped:
            continue
        for way, outline in WAYS.items():
            start = time.perf_counter()
            outlines = [polygon for polygon in outline(stepped) if isinstance(polygon, Polygon) and polygon.area > 0]
            seconds[way] += time.perf_counter() - start
            invalid[way] += int((~shapely.is_valid(np.array(outlines))).sum())
            sound = [part for part in outlines if part.is_valid]
            filled = rasterise(sound, *mask.shape)
            rows[way] += count_polygons(sound, true, iou=scores(count(filled, truth[0], valid))["iou"])
            gaps[way].append(lost(outlines, stepped))
    print("| way | C-IoU | N-ratio | max tangent angle | PoLiS, px | lost | invalid | ms a roof |")
    print("|---|---|---|---|---|---|---|---|")
    for way, sums in rows.items():
        s = polygon_scores(sums)
        speed = 1000 * seconds[way] / sums[COLUMNS.index("said")]
        print(
            f"| {way} | {s['c_iou']:.3f} | {s['n_ratio']:.2f} | {s['max_tangent_angle']:.1f} | {s['polis']:.2f} "
            f"| {np.mean(gaps[way]):.2%} | {invalid[way]} | {speed:.1f} |"
        )


if __name__ == "__main__":
    main()
