"""How fast are the object scores, and in how much memory? Ours beside pycocotools' COCOeval, in one run.

Generated pictures of 300 x 300 with 8 roofs each; crowdAI's validation split has 60,000. The prediction
misses one roof in ten, shifts the others by up to three pixels, and invents one in ten.

    python benchmarks/evaluate.py                       # 5,000 pictures, under a minute
    python benchmarks/evaluate.py 60000 --rounds 1      # crowdAI's size
    python benchmarks/evaluate.py 60000 --boundary      # ours alone: boundary AP

Each side gets the same run-length masks in a process of its own, turn by turn. Timed is everything from the
masks to the scores; memory is what the process needs beyond its imports. pycocotools must hold all
annotations, ours takes picture after picture. faster-coco-eval is measured too where it is installed.
"""

import argparse
import contextlib
import importlib.util
import io
import multiprocessing
import statistics
import time
from collections.abc import Iterator

import numpy as np
from pycocotools import mask as coco_mask

from rooftop.memory import peak_memory
from rooftop.metrics.objects import Found, Truth, boundary_scores, match, object_scores, overlaps, ranking

SIZE, ROOFS, MAX_DETS = 300, 8, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=int, nargs="?", default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--boundary", action="store_true")
    asked = parser.parse_args()
    sides = [boundary] if asked.boundary else [ours, pycocotools]
    if importlib.util.find_spec("faster_coco_eval") and not asked.boundary:
        sides.append(faster_coco_eval)
    table = {side: [] for side in sides}
    for side in sides * asked.rounds:
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # a fresh process, so that its peak is its own
            table[side].append(pool.apply(side, (asked.pictures,)))
    print(f"{asked.pictures:,} pictures x {ROOFS} roofs, median of {asked.rounds}")
    for side, runs in table.items():
        seconds, memory, ap = (statistics.median(column) for column in zip(*runs, strict=True))
        share = seconds / statistics.median(run[0] for run in table[sides[-1 if asked.boundary else 1]])
        print(f"{side.__name__:17} {seconds:8.1f} s {share:6.2f} x {memory:8.0f} MiB   AP {ap:.12f}")


def ours(pictures: int, *, at_boundary: bool = False) -> tuple[float, float, float]:
    before, spent, parts = peak(), 0.0, []
    for truth, found, scores in generate(pictures):
        areas = np.asarray(coco_mask.area(truth), dtype=float)
        start = time.perf_counter()
        true = Truth(truth, areas, np.zeros(len(truth), dtype=bool))
        pair = overlaps(Found(found, scores), true, max_dets=MAX_DETS)
        parts.append(match(pair, boundary=at_boundary))
        spent += time.perf_counter() - start
    start = time.perf_counter()
    summary = boundary_scores if at_boundary else object_scores
    scored = summary([ranking(parts)], max_dets=MAX_DETS)
    return spent + time.perf_counter() - start, peak() - before, next(iter(scored.values()))


def boundary(pictures: int) -> tuple[float, float, float]:
    return ours(pictures, at_boundary=True)


def pycocotools(pictures: int) -> tuple[float, float, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return by_coco(pictures, COCO, COCOeval)


def faster_coco_eval(pictures: int) -> tuple[float, float, float]:
    from faster_coco_eval import COCO, COCOeval_faster

    return by_coco(pictures, COCO, COCOeval_faster)


def by_coco(pictures, index, judge) -> tuple[float, float, float]:
    before, truth = peak(), index()
    truth.dataset, found = as_coco(pictures)
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth.createIndex()
        evaluation = judge(truth, truth.loadRes(found), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return time.perf_counter() - start, peak() - before, float(evaluation.stats[0])


def as_coco(pictures):
    images = [{"id": i, "height": SIZE, "width": SIZE} for i in range(1, pictures + 1)]
    annotations, results = [], []
    for i, (truth, found, scores) in enumerate(generate(pictures), start=1):
        for rle in truth:
            area, number = float(coco_mask.area(rle)), len(annotations) + 1
            annotations.append(
                {
                    "id": number,
                    "image_id": i,
                    "category_id": 100,
                    "iscrowd": 0,
                    "area": area,
                    "segmentation": rle,
                }
            )
        for rle, score in zip(found, scores.tolist(), strict=True):
            results.append({"image_id": i, "category_id": 100, "score": score, "segmentation": rle})
    return {"images": images, "categories": [{"id": 100}], "annotations": annotations}, results


def generate(pictures: int) -> Iterator[tuple[list, list, np.ndarray]]:
    """Yield the true masks, the predicted masks and their scores, picture by picture, always the same."""
    rng = np.random.default_rng(0)
    places = np.array([(x, y) for y in (5, 100, 200) for x in (5, 100, 200)][:ROOFS])
    for _ in range(pictures):
        corner = places + rng.integers(0, 35, (ROOFS, 2))
        truth = np.hstack([corner, rng.integers(8, 58, (ROOFS, 2))])
        found = truth[rng.random(ROOFS) > 0.1]
        found = found + rng.integers(-3, 4, found.shape)
        invented = np.hstack([rng.integers(0, 250, (ROOFS, 2)), rng.integers(8, 40, (ROOFS, 2))])
        found = np.vstack([found, invented[rng.random(ROOFS) < 0.1]])
        yield encode(truth), encode(found), rng.random(len(found))


def encode(boxes: np.ndarray) -> list:
    x, y, width, height = boxes.T.astype(float)
    corners = np.stack([x, y, x + width, y, x + width, y + height, x, y + height], axis=1)
    return coco_mask.frPyObjects(corners.tolist(), SIZE, SIZE)


def peak() -> float:
    """Give the most memory that this process has held, in MiB."""
    return peak_memory() / 2**20


if __name__ == "__main__":
    main()
