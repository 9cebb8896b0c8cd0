"""Scores of two files are those of COCOeval to 1e-9, on every file that pycocotools takes."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rooftop.coco import open_index, read_results
from rooftop.evaluation import FileCases
from rooftop.evaluation.counts import SplitCounts, count_picture
from rooftop.evaluation.score import score

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar", "ar_small", "ar_medium", "ar_large")
STATS = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11)  # of COCOeval, in the same order


def theirs(document, results):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(document)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [judge.stats[i] for i in STATS]


def ours(document, results, folder):
    """The object scores of the split; -1 without truth, as COCOeval has it."""
    (folder / "truth.json").write_text(json.dumps(document))
    (folder / "found.json").write_text(json.dumps(results))
    index = open_index(folder / "truth.json", cache=folder / "cache")
    cases = FileCases(read_results(folder / "found.json", index), index)
    counted = (count_picture(cases[i], max_dets=100) for i in range(len(cases)))
    scores = score(SplitCounts(counted, [name for _, name in cases.categories]), max_dets=100)["object"]
    return [-1 if np.isnan(scores[name]) else scores[name] for name in NAMES]


def ring(rng, height, width):
    """A box: inside, across the border, a line, beside the picture, or less than half a pixel inside it."""
    left, top = rng.integers(-6, width + 1), rng.integers(-6, height + 1)
    right, bottom = left + rng.integers(0, width // 2), top + rng.integers(0, height // 2)
    left, right = [(left, right), (left, right), (width, width + 5), (width - 0.3, width + 4)][rng.integers(4)]
    return [float(v) for v in (left, top, right, top, right, bottom, left, bottom)]


def run_lengths(rng, height, width, *, packed):
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.9:
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask[top : top + rng.integers(1, height), left : left + rng.integers(1, width)] = 1
    if packed:
        return {"size": [height, width], "counts": rle.encode(np.asfortranarray(mask))["counts"].decode()}
    bits = mask.ravel(order="F")
    counts = np.diff([0, *np.flatnonzero(np.diff(bits, prepend=0)), bits.size])
    return {"size": [height, width], "counts": counts.astype(rng.choice([int, float])).tolist()}


def outline(rng, height, width):
    """Rings, with a stray, an empty or an odd one, or run lengths of both kinds."""
    if rng.random() < 0.5:
        return run_lengths(rng, height, width, packed=rng.random() < 0.5)
    rings = [ring(rng, height, width) for _ in range(rng.integers(1, 3))]
    rings[0] += [3.0] * int(rng.random() < 0.2)
    return rings + [[[1.0, 1.0, 5.0, 5.0]], [[]], [], [], []][rng.integers(5)]


def random_files(seed):
    """An annotation file and results: ties, crowds, repeated ids, id 0, truth without pixels, empty pictures."""
    rng = np.random.default_rng(seed)
    number, kinds = int(rng.integers(1, 5)), [int(k) for k in rng.permutation([7, 3, 5])[: rng.integers(1, 4)]]
    pictures = {int(i): (int(rng.integers(20, 60)), int(rng.integers(61, 130))) for i in rng.permutation(9)[:number]}
    first_id, repeats = int(rng.integers(2)), rng.random() < 0.3
    annotations, results, boxed = [], [], rng.random() < 0.4
    for picture, (height, width) in pictures.items():
        for _ in range(rng.integers(7)):
            identity = first_id + len(annotations)
            if repeats and annotations and rng.random() < 0.4:
                identity = annotations[rng.integers(len(annotations))]["id"]
            of_another_size = rng.random() < 0.05
            annotations.append(
                {
                    "id": identity,
                    "image_id": picture,
                    "category_id": int(rng.choice([*kinds, *kinds, 99])),
                    "segmentation": run_lengths(rng, height + 2, width, packed=True)
                    if of_another_size
                    else outline(rng, height, width),
                    "iscrowd": [0, 0, 0, 1, True, 0.0][rng.integers(6)],
                    "area": float(rng.choice([0, 1, 100, 900, 1024, 1500, 5000, 20000])),
                    "bbox": [0, 0, 5, 5],
                }
            )
        drawn = [a for a in annotations if a["image_id"] == picture and not _is_strange(a, height)]
        for _ in range(rng.integers(8) * (rng.random() < 0.85)):
            match = drawn and rng.random() < 0.6
            known = drawn[rng.integers(len(drawn))] if match else {"category_id": int(rng.choice(kinds))}
            shape = known.get("segmentation") or outline(rng, height, width)
            result = {"image_id": picture, "category_id": known["category_id"], "segmentation": shape}
            results.append(result | {"score": float(rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()]))})
            if boxed:
                results[-1]["bbox"] = [float(v) for v in rng.integers(0, 60, 4)]
                if rng.random() < 0.2:
                    del results[-1]["segmentation"]
            else:
                results[-1]["segmentation"] = _packed(shape, height, width)
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": h, "width": w} for i, (h, w) in pictures.items()],
        "categories": [{"id": kind, "name": f"kind {kind}"} for kind in kinds],
        "annotations": [annotations[i] for i in rng.permutation(len(annotations))],
    }
    return document, [results[i] for i in rng.permutation(len(results))]


def _is_strange(annotation, height):
    shape = annotation["segmentation"]
    return annotation["category_id"] == 99 or (isinstance(shape, dict) and shape["size"][0] != height)


def _packed(shape, height, width):
    """Compressed run lengths, which pycocotools wants of results without boxes."""
    if isinstance(shape, dict) and isinstance(shape["counts"], str):
        return shape
    found = rle.frPyObjects(shape, height, width)
    found = rle.merge(found) if isinstance(shape, list) else found
    return {"size": [height, width], "counts": found["counts"].decode()}


def compare(seed, folder):
    document, results = random_files(seed)
    if results:  # pycocotools takes no empty list
        folder.mkdir()
        assert ours(document, results, folder) == pytest.approx(theirs(document, results), abs=1e-9), seed


def test_random_files_have_the_scores_of_cocoeval(tmp_path):
    for seed in range(12):
        compare(seed, tmp_path / str(seed))


@pytest.mark.slow
def test_many_random_files_have_the_scores_of_cocoeval(tmp_path):
    for seed in range(12, 500):
        compare(seed, tmp_path / str(seed))


HEIGHT, WIDTH = 40, 64
ROOF = [4.0, 4, 24, 4, 24, 20, 4, 20]
OTHER = [30.0, 4, 50, 4, 50, 20, 30, 20]


def files(*annotations, found=(ROOF, OTHER)):
    """One picture; predictions of both roofs, or of the rings given."""
    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "roof"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "area": 320, "iscrowd": 0} | fields
            for i, fields in enumerate(annotations, start=1)
        ],
    }
    shapes = [_packed([rings], HEIGHT, WIDTH) for rings in found]
    return document, [{"image_id": 1, "category_id": 1, "segmentation": s, "score": 0.5} for s in shapes]


@pytest.mark.parametrize(
    ("annotations", "ap50", "ar"),
    [
        # both found; one more roof that nobody can find: recall 2 / 3 reaches 67 of 101 levels
        (({"segmentation": [ROOF]}, {"segmentation": [OTHER]}), 1, 1),
        (
            ({"segmentation": [ROOF]}, {"segmentation": [OTHER]}, {"segmentation": [[WIDTH, 0, 99, 0, 99, 9]]}),
            67 / 101,
            2 / 3,
        ),
        (
            (
                {"segmentation": [ROOF]},
                {"segmentation": [OTHER]},
                {"segmentation": {"size": [9, 9], "counts": [40, 1, 40]}},
            ),
            67 / 101,
            2 / 3,
        ),
        # with one id for two roofs the last roof stands twice, so one of two predictions is wrong, one roof missed
        (({"segmentation": [ROOF], "id": 7}, {"segmentation": [OTHER], "id": 7}), 51 / 101 / 2, 1 / 2),
        # COCOeval does not see the match with id 0
        (({"segmentation": [ROOF], "id": 0}, {"segmentation": [OTHER]}), 51 / 101 / 2, 1 / 2),
    ],
)
def test_what_cocoeval_counts_otherwise(tmp_path, annotations, ap50, ar):
    document, results = files(*annotations)
    scores = ours(document, results, tmp_path)
    assert scores == pytest.approx(theirs(document, results), abs=1e-9)
    assert (scores[NAMES.index("ap50")], scores[NAMES.index("ar")]) == pytest.approx((ap50, ar))


def test_id_zero_changes_only_what_cocoeval_defines(tmp_path):
    document, results = files({"segmentation": [ROOF], "id": 0}, {"segmentation": [OTHER]})
    ours(document, results, tmp_path)
    index = open_index(tmp_path / "truth.json", cache=tmp_path / "cache")
    cases = FileCases(read_results(tmp_path / "found.json", index), index)
    scores = score(SplitCounts([count_picture(cases[0], max_dets=100)], ["roof"]), max_dets=100)
    assert (scores["object"]["f1"], scores["object"]["recall"], scores["pixel"]["iou"]) == (1, 1, 1)


def test_where_no_outline_can_be_drawn_pixels_are_not_judged(tmp_path):
    # pycocotools takes no such file; the prediction on the box is no wrong pixel
    document, results = files({"segmentation": [ROOF]}, {"segmentation": [[]], "bbox": [30, 4, 20, 16]})
    ours(document, results, tmp_path)
    index = open_index(tmp_path / "truth.json", cache=tmp_path / "cache")
    case = FileCases(read_results(tmp_path / "found.json", index), index)[0]
    assert not case.valid[4:20, 30:50].any()
    scores = score(SplitCounts([count_picture(case, max_dets=100)], ["roof"]), max_dets=100)
    assert (scores["pixel"]["iou"], scores["pixel"]["precision"]) == (1, 1)
