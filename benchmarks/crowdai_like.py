"""Annotation files of the form and density of the crowdAI Mapping Challenge: 300 x 300 px, 8.5 buildings a picture.

The real training file has 280,741 pictures, 2.4 million annotations, 640 MB.
"""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, BUILDINGS, CATEGORY = 300, 8.55, 100
REAL = Path(__file__).resolve().parents[1] / "data" / "banepa" / "images" / "train"
PART = 112  # px of an embedded picture, so that files are as large as those of the challenge: 15 kB


def write(path: Path, pictures: int, seed: int = 0) -> int:
    """Write an annotation file; returns the number of annotations."""
    rng = np.random.default_rng(seed)
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": SIDE, "height": SIDE} for i in range(pictures)]
    category = {"id": CATEGORY, "name": "building", "supercategory": "building"}
    count = 0
    with path.open("w") as file:
        file.write(
            f'{{"info": {{}}, "categories": [{json.dumps(category)}], "images": {json.dumps(images)}, "annotations": ['
        )
        for image in range(pictures):
            for _ in range(rng.poisson(BUILDINGS)):
                file.write((", " if count else "") + json.dumps(building(rng, count, image)))
                count += 1
        file.write("]}")
    return count


def building(rng: np.random.Generator, identity: int, image: int) -> dict:
    """An outline of 4 to 10 corners on whole pixels, closed, as the challenge has them."""
    corners = int(rng.integers(4, 11))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 0.5)
    centre, radius = rng.uniform(8, SIDE - 8, 2), rng.uniform(5, 40)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + centre
    points = points.clip(0, SIDE).round()
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    return {
        "id": identity,
        "image_id": image,
        "segmentation": [[*points.ravel().tolist(), *points[0].tolist()]],
        "area": float(size.prod()),
        "bbox": [*low.tolist(), *size.tolist()],
        "category_id": CATEGORY,
        "iscrowd": 0,
    }


def write_pictures(folder: Path, count: int, distinct: int = 500) -> None:
    """Write the pictures of `write`: parts of embedded photographs, magnified; beyond `distinct`, links to these.

    Saved as those of the challenge are (the same tables, colour at half the resolution).
    """
    folder.mkdir()
    sources = sorted(REAL.glob("*.jpg"))
    distinct = min(distinct, count)
    for i in range(count):
        path = folder / f"{i:012d}.jpg"
        if i >= distinct:
            os.link(folder / f"{i % distinct:012d}.jpg", path)
            continue
        with Image.open(sources[i % len(sources)]) as image:
            left, top = PART * (i // len(sources) % 2), PART * (i // len(sources) // 2 % 2)
            box = (left, top, left + PART, top + PART)
            image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box).save(path, quality=75)
