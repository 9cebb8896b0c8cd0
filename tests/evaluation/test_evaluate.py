import csv
import json

import numpy as np
import pytest

from rooftop.coco import Result, read_results, write_results
from rooftop.evaluation import (
    FileCases,
    RunCases,
    Settings,
    evaluate_split,
    print_scores,
    write_per_image,
    write_scores,
)
from rooftop.metrics.error_kinds import KINDS
from rooftop.raster.rasterise import decode, encode

SETTINGS = Settings(100, 20, 0, None, 1)


def test_scores_json_holds_all_that_others_rely_on(poor, tmp_path):
    done = evaluate_split(poor, tmp_path, SETTINGS, {"split": "test", "threshold": 0.5, "run": "outputs/x"})
    write_scores(tmp_path / "scores.json", done)
    read = json.loads((tmp_path / "scores.json").read_text())
    assert {"iou", "f1", "precision", "recall", "accuracy"} <= read["pixel"].keys()
    assert {"ap", "ap50", "ap75", "ar"} <= read["object"].keys()
    for section in ("pixel", "boundary", "object", "polygon", "shifted"):
        for name, value in read[section].items():
            assert value is None or isinstance(value, float), name
            low, high = read["intervals"][section][name]
            assert (low is None) == (high is None)
    assert read["intervals"]["level"] == 0.95
    assert read["object"]["ap_large"] is None
    assert (read["split"], read["threshold"], read["run"], read["pictures"]) == ("test", 0.5, "outputs/x", 3)
    assert read["settings"]["max_dets"] == 100
    assert "rooftop" in read["versions"]
    assert sum(read["errors"][kind] for kind in KINDS) == 4
    assert read["errors"]["invented"] == 1
    assert "best_threshold" not in read  # two files have no probabilities


def test_the_published_variant_stands_beside_the_scores(poor, tmp_path):
    done = evaluate_split(poor, tmp_path, Settings(100, 1, 0, "hisup", 1), {})
    write_scores(tmp_path / "scores.json", done)
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["as_published"]["hisup"]["polis"] != read["polygon"]["polis"]


def test_the_best_threshold_is_told_where_there_are_probabilities(painter, half, decision, tmp_path):
    cases = RunCases(painter(["roof"]), *half, decision)
    write_scores(tmp_path / "scores.json", evaluate_split(cases, tmp_path, SETTINGS, {}))
    read = json.loads((tmp_path / "scores.json").read_text())
    assert 0 < read["best_threshold"] < 1
    assert {"ap", "ece"} <= read["pixel"].keys()


def test_one_row_a_picture_in_the_order_of_the_split(poor, tmp_path):
    done = evaluate_split(poor, tmp_path, SETTINGS, {})
    write_per_image(tmp_path / "per_image.csv", done.counts)
    with (tmp_path / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == ["30.png", "10.png", "20.png"]
    assert float(rows[2]["iou"]) == 0
    assert [row["found"] for row in rows] == ["2", "1", "0"]
    assert [row["missed"] for row in rows] == ["0", "1", "0"]
    assert [row["invented"] for row in rows] == ["0", "0", "1"]
    assert float(rows[1]["recall"]) == pytest.approx(720 / 784, rel=1e-5)
    assert sum(int(row["tp"]) for row in rows) == done.counts.table["pixel"].reshape(3, 2, 4).sum((0, 1))[0]


def test_a_shift_of_a_picture_is_forgiven_apart_from_the_plain_score(perfect, split, index, tmp_path):
    """Of picture 30 all roofs lie 2 px to the right; nothing is found in picture 20."""
    results = []
    for each in (*perfect.results.of(10), *perfect.results.of(30)):
        step = 2 if each.image_id == 30 else 0
        mask = np.roll(decode([each.rle], 48, 80), step, axis=1)
        results.append(Result(each.image_id, each.category_id, each.score, encode(mask)))
    write_results(split / "moved.json", results)
    moved = read_results(split / "moved.json", index)
    done = evaluate_split(FileCases(moved, index, gsd=0.5), tmp_path, SETTINGS, {})
    assert done.scores["pixel"]["iou"] < 0.95
    shifted = done.scores["shifted"]
    assert shifted == {"iou": 1, "mean_shift_m": 0.5, "median_shift_m": 0.5}  # of 1 m and of none
    assert {name: len(values) for name, values in done.draws["shifted"].items()} == dict.fromkeys(shifted, 20)
    write_per_image(tmp_path / "per_image.csv", done.counts)
    with (tmp_path / "per_image.csv").open(newline="") as file:
        rows = [list(row.values())[-3:] for row in csv.DictReader(file)]
    assert rows == [["1", "-2", "0"], ["1", "0", "0"], ["1", "0", "0"]]  # to the right, down: back to the truth

    unknown = evaluate_split(FileCases(moved, index), tmp_path, SETTINGS, {})
    write_scores(tmp_path / "scores.json", unknown)
    assert json.loads((tmp_path / "scores.json").read_text())["shifted"] == dict.fromkeys(shifted)
    write_per_image(tmp_path / "per_image.csv", unknown.counts)
    with (tmp_path / "per_image.csv").open(newline="") as file:
        assert list(next(csv.DictReader(file)).values())[-3:] == ["", "", ""]


def test_the_scores_are_told(poor, tmp_path, capsys):
    print_scores(evaluate_split(poor, tmp_path, SETTINGS, {}), tmp_path)
    told = capsys.readouterr().out
    assert "Boundary IoU" in told
    assert "report.html" in told
