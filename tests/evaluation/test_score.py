import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rooftop.coco import Result, read_results, write_results
from rooftop.errors import ConfigError
from rooftop.evaluation import FileCases, RunCases, Settings, evaluate_split
from rooftop.evaluation.counts import SplitCounts, count_picture
from rooftop.evaluation.score import (
    intervals,
    score,
    score_categories,
    score_published,
    score_shares,
    score_sizes,
)
from rooftop.raster.rasterise import encode

NAMES = ["house", "shed"]


def tally(cases, **options):
    names = [name for _, name in cases.categories]
    return SplitCounts((count_picture(cases[i], max_dets=1000, **options) for i in range(len(cases))), names)


def test_truth_against_itself_is_one(perfect):
    scores = score(tally(perfect), max_dets=1000)
    assert set(scores) == {"pixel", "boundary", "object", "polygon", "shifted"}
    for section, name in [
        *(("pixel", name) for name in ("iou", "f1", "precision", "recall", "accuracy")),
        *(("boundary", name) for name in ("iou", "f1_1px", "f1_2px", "f1_3px")),
        *(
            ("object", name)
            for name in ("ap", "ap50", "ap75", "ar", "f1", "pq", "sq", "rq", "crowdai_ap", "boundary_ap")
        ),
        *(("polygon", name) for name in ("c_iou", "n_ratio", "hole_f1", "count_ratio")),
    ]:
        assert scores[section][name] == pytest.approx(1), (section, name)
    assert scores["polygon"]["polis"] == scores["polygon"]["count_error"] == 0
    assert np.isnan(scores["object"]["ap_large"])  # there is no such roof


def test_pixels_worked_by_hand(poor):
    # Truth, outside the crowd: house 20 x 16 = 320, court 30 x 24 - 100 + 20 = 640, shed 64, house 30 x 24 = 720;
    # the hole is 10 x 8 = 80. Found: the house two columns off shares 18 x 16 = 288; the filled court 640 of 720;
    # the other house all 720; 100 invented.
    pixel = score(tally(poor), max_dets=1000)["pixel"]
    hits, said, true = 288 + 640 + 720, 320 + 720 + 720 + 100, 320 + 640 + 64 + 720
    assert pixel["precision"] == pytest.approx(hits / said)
    assert pixel["recall"] == pytest.approx(hits / true)
    assert pixel["iou"] == pytest.approx(hits / (said + true - hits))


def test_categories_apart(poor):
    scores = score_categories(tally(poor))
    assert scores["shed"]["recall"] == 0
    assert scores["house"]["recall"] == pytest.approx((288 + 640 + 720) / (320 + 640 + 720))


def test_panoptic_quality_worked_by_hand(poor):
    # House: found with IoU 288 / 352, 640 / 720 and 1, one invented; shed: missed. The crowd has no part.
    house = (288 / 352 + 640 / 720 + 1) / 3
    counts = tally(poor)
    each, scores = score_categories(counts), score(counts, max_dets=1000)["object"]
    assert [each["house"][name] for name in ("pq", "sq", "rq")] == pytest.approx([house * 3 / 3.5, house, 3 / 3.5])
    assert [each["shed"][name] for name in ("pq", "sq", "rq")] == [0, 0, 0]
    assert [scores[name] for name in ("pq", "sq", "rq")] == pytest.approx([house * 3 / 3.5 / 2, house / 2, 3 / 3.5 / 2])


def test_object_scores_are_those_of_cocoeval_on_the_files(poor, split, tmp_path):
    done = evaluate_split(poor, tmp_path / "out", Settings(100, 1, 0, None, 1), {})
    content = json.loads((split / "truth.json").read_text())
    for ann in content["annotations"]:
        ann["area"] = {1: 320, 2: 640, 3: 960, 4: 64, 5: 720}[ann["id"]]
    truth = COCO()
    truth.dataset = content
    truth.createIndex()
    judge = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.coco.json")), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    ours = [done.scores["object"][name] for name in ("ap", "ap50", "ap75", "ap_small", "ar", "ar_small")]
    assert ours == pytest.approx([judge.stats[i] for i in (0, 1, 2, 3, 8, 9)], abs=1e-9)


def test_the_order_of_the_pictures_does_not_matter(poor):
    names = [name for _, name in poor.categories]
    one = score(SplitCounts([count_picture(poor[i], max_dets=9) for i in (0, 1, 2)], names), max_dets=9)
    two = score(SplitCounts([count_picture(poor[i], max_dets=9) for i in (2, 0, 1)], names), max_dets=9)
    for section, scores in one.items():
        assert scores == pytest.approx(two[section], nan_ok=True)


def test_sizes_say_what_became_of_the_roofs(poor):
    rows = score_sizes(tally(poor))
    assert [row["roofs"] for row in rows] == [0, 1, 3, 0, 0]  # 64; 320, 640, 720
    assert rows[1]["missed"] == 1
    assert rows[2]["found"] + rows[2]["ragged"] == 3


def test_shares_cut_the_split_by_how_much_is_roof(poor):
    rows = {row["label"]: row for row in score_shares(tally(poor)) if row["pictures"]}
    assert set(rows) == {"no roof", "20 to 40 %"}  # 960 of 2,880 judged pixels, 784 of 3,840
    assert rows["no roof"]["pictures"] == 1
    assert rows["no roof"]["iou"] == 0  # an invented house
    assert sum(row["pictures"] for row in rows.values()) == 3


def test_intervals_hold_the_scores(poor, tmp_path):
    done = evaluate_split(poor, tmp_path, Settings(100, 50, 0, None, 1), {})
    between = intervals(done.draws)
    for section, scores in done.scores.items():
        assert scores.keys() == between[section].keys()
    low, high = between["pixel"]["iou"]
    assert low <= done.scores["pixel"]["iou"] <= high
    assert low < high


def test_probabilities_are_scored_too(painter, half, decision, tmp_path):
    cases = RunCases(painter(["roof"]), *half, decision)
    done = evaluate_split(cases, tmp_path, Settings(100, 20, 0, None, 1), {})
    assert 0 < done.scores["pixel"]["ap"] < 1
    assert 0 < done.scores["pixel"]["ece"] < 1
    low, high = intervals(done.draws)["pixel"]["ap"]
    assert low <= done.scores["pixel"]["ap"] <= high


def test_as_published(poor):
    # C-IoU over the three pictures, all of which have predictions; AP leaves none out here.
    hisup = score_published(tally(poor, as_published="hisup"), "hisup", max_dets=100)
    assert 0 < hisup["polis"] < score(tally(poor), max_dets=100)["polygon"]["polis"]
    ffl = score_published(tally(poor, as_published="ffl"), "ffl", max_dets=100)
    assert ffl["ap"] == score(tally(poor), max_dets=100)["object"]["ap"]
    assert 0 < ffl["max_tangent_angle"] < 90


def test_ffl_leaves_pictures_without_predictions_out(perfect, index):
    class Blind:
        """Finds nothing in picture 10."""

        def of(self, number):
            return [] if number == 10 else perfect.results.of(number)

    blind = type(perfect)(Blind(), index, categories=["house"])
    counted = tally(blind, as_published="ffl")
    assert score(counted, max_dets=100)["object"]["ar"] == pytest.approx(2 / 3)
    assert score_published(counted, "ffl", max_dets=100)["ar"] == pytest.approx(1)


def test_outlines_on_a_crowd_do_not_count(perfect, split, index):
    found = [*perfect.results.of(30), Result(30, 1, 0.5, encode(box(10, 38, 30, 46)))]
    write_results(split / "more.json", [*found, *perfect.results.of(10)])
    scores = score(tally(FileCases(read_results(split / "more.json", index), index)), max_dets=100)
    assert scores["polygon"]["count_ratio"] == scores["object"]["precision"] == scores["pixel"]["iou"] == 1


def box(left, top, right, bottom):
    mask = np.zeros((48, 80), dtype=np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def test_wrong_settings_are_named(poor, tmp_path):
    with pytest.raises(ConfigError, match="as_published=unet: choose one of hisup, ffl"):
        evaluate_split(poor, tmp_path, Settings(100, 1, 0, "unet", 1), {})
    with pytest.raises(ConfigError, match=r"bootstrap\.rounds=0: must be at least 1"):
        evaluate_split(poor, tmp_path, Settings(100, 0, 0, None, 1), {})
