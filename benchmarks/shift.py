"""How well are shifted labels found, and how often are right ones taken for shifted?

    python benchmarks/shift.py OPEN SHARED_DATA

Moves the labels of the places of `data=open` (OPEN, of benchmarks/open_data.py) and of South Tyrol by whole pixels in
random directions, all pictures of a place alike and each picture by itself, and asks `rooftop.audit.shift` for the
offset. An error is the larger one along x or y; what labels lie off as published is part of it.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from rooftop.audit.shift import common_offset, moved, picture_scores
from rooftop.coco import open_index, picture_path
from rooftop.raster.picture import read_picture

ALIKE = (0, 1, 1, 2, 3, 4, 6, 8, 10)  # px, length of the shifts of a whole place
SINGLE = ((0.8, 2.4), (2.6, 5.4), (5.6, 10.4))  # px, of single pictures
ROOFS = (5, 8, 13, 25, 60, 100_000)  # rows of the table of single pictures


def main(opened, shared):
    places = {path.stem: (path, Path(opened) / "images" / path.stem) for path in Path(opened, "annotations").iterdir()}
    places["suedtirol"] = Path(shared) / "suedtirol/annotation.json", Path(shared) / "suedtirol/images"
    rng = np.random.default_rng(5)
    pictures = []
    print("| place | pictures | roofs | as published | error for shifts of", ", ".join(map(str, ALIKE[1:])), "px |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool:
        for place, (annotations, images) in sorted(places.items()):
            index = open_index(annotations)
            alike = [vector(rng, length) for length in ALIKE]
            jobs = [
                (annotations, images, i, [*alike, *(vector(rng, rng.uniform(*span)) for span in SINGLE)])
                for i in range(len(index))
            ]
            every = list(pool.map(scored, jobs, chunksize=4))
            found = [scores for scores in every if scores[0].roofs]
            offsets = [common_offset([scores[k] for scores in found]) for k in range(len(ALIKE))]
            errors = [error(offset, by) for offset, by in zip(offsets[1:], alike[1:], strict=True)]
            roofs = sum(scores[0].roofs for scores in found)
            flag = "nothing" if offsets[0] is None else "{:+.1f}, {:+.1f}".format(*offsets[0].move)
            print(f"| {place} | {len(found)} | {roofs:,} | {flag} | {' '.join(errors)} |", flush=True)
            names = [f"{place}/{name}" for name in index.names]
            pictures += [(name, job[-1], scores) for name, job, scores in zip(names, jobs, every, strict=True)]
    print_pictures(pictures)


def vector(rng, length):
    angle = rng.uniform(0, 2 * np.pi)
    return round(length * np.cos(angle)), round(length * np.sin(angle))


def scored(job):
    """Scores of a picture with its labels moved in several ways."""
    annotations, images, row, moves = job
    index = open_index(annotations)
    height, width = index.sizes[row].tolist()
    (kinds,) = index.channels(["building"] if "building" in {c.name for c in index.categories} else None)[:1]
    objects = [thing for thing in index.objects(row) if thing.category_id in kinds]
    picture = read_picture(picture_path(images, index.names[row]))
    return [picture_scores(picture, [moved(thing, by, height, width) for thing in objects]) for by in moves]


def error(offset, by):
    return "-" if offset is None else f"{max(abs(offset.move[0] + by[0]), abs(offset.move[1] + by[1])):.1f}"


def print_pictures(pictures):
    """Print what is found in single pictures: unmoved, and by the number of roofs."""
    offsets = {name: common_offset(scores[:1]) for name, _, scores in pictures}
    flags = [f"{name} {offset.move[0]:+.1f}, {offset.move[1]:+.1f}" for name, offset in offsets.items() if offset]
    print(f"\nsingle pictures as published: {len(flags)} of {len(offsets)}: {'; '.join(flags)}\n")
    print("| roofs | pictures |", " | ".join(f"{low:.0f} to {high:.0f} px" for low, high in SINGLE), "|")
    print("|---|---|---|---|---|")
    for low, high in pairwise(ROOFS):
        chosen = [(moves, scores) for _, moves, scores in pictures if low <= scores[0].roofs < high]
        cells = []
        for k in range(len(ALIKE), len(ALIKE) + len(SINGLE)):
            errors = [error(common_offset([scores[k]]), moves[k]) for moves, scores in chosen]
            named = [float(text) for text in errors if text != "-"]
            cells.append(f"{len(named) / len(chosen):.0%}, {sum(e <= 1 for e in named)} of {len(named)} within 1 px")
        print(f"| {low} to {high - 1} | {len(chosen)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
