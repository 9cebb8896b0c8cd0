import json
from dataclasses import replace

import numpy as np
import pytest

from rooftop.coco import open_index
from rooftop.data.sources import CocoSource, MaskSource
from rooftop.errors import ConfigError, DataError
from rooftop.evaluation import Choice, FileCases, RunCases, of_files, of_runs
from rooftop.evaluation.counts import count_picture
from rooftop.polygons.roofs import Shaping
from rooftop.raster.picture import write_mask, write_png

CHOICE = Choice("test", None, Shaping(None, 0.0, None, 0.0, 0.0, 0.0), "cpu", views=None, rescale=True)


def test_two_files_are_laid_over_each_other(perfect):
    assert len(perfect) == 3
    assert list(perfect.categories) == [(1, "house"), (2, "shed")]
    case = perfect[0]
    assert (case.name, case.picture_id, case.probability) == ("30.png", 30, None)
    assert np.array_equal(case.mask, case.prediction)
    assert not case.valid[40].any()  # the crowd
    assert [len(roofs.rles) for roofs in case.truth] == [3, 0]
    assert [len(roofs.rles) for roofs in case.found] == [2, 0]
    assert perfect.picture(0).shape == (48, 80, 3)


def test_without_a_folder_there_is_no_picture(perfect, index):
    assert FileCases(perfect.results, index).picture(0) is None


def test_categories_can_be_chosen(perfect, index):
    cases = FileCases(perfect.results, index, categories=["shed"])
    assert cases[1].mask.shape == (1, 48, 80)
    assert cases[1].mask.sum() == 64


def test_a_run_is_laid_over_its_split(painter, half, decision):
    cases = RunCases(painter(["roof"]), *half, decision)
    assert len(cases) == 2
    assert list(cases.categories) == [(1, "house")]
    case = cases[0]
    assert (case.name, case.picture_id) == ("10.png", 10)
    assert np.array_equal(case.prediction[0], cases.picture(0)[..., 0] > 127)
    assert [len(roofs.rles) for roofs in case.truth] == [1]
    assert max(case.found[0].scores) == pytest.approx(0.9)


def test_a_run_of_other_categories_is_refused(painter, half, decision):
    with pytest.raises(DataError, match=r"2 categories \(roof, shed\), the data set 1"):
        RunCases(painter(["roof", "shed"]), *half, decision)


def test_categories_in_another_order_are_told_by_name(painter, split, index, decision, caplog):
    class OnlyHouses(painter):
        def forward(self, pictures):
            said = super().forward(pictures)
            said[:, self.run.card.categories.index("house") ^ 1] = 0.0
            return said

    source = CocoSource(split / "images", index, ["shed", "house"])
    for known in (["house", "shed"], ["shed", "house"]):
        case = RunCases(OnlyHouses(known), source, np.array([1]), decision)[0]
        assert not case.prediction[0].any()  # sheds, as the data set has it
        assert case.prediction[1].any()
        assert [len(roofs.rles) > 0 for roofs in case.found] == [False, True]
    assert "matched in this order" not in caplog.text
    RunCases(painter(["tin", "tile"]), source, np.array([1]), decision)
    assert "the run has the categories tin, tile, the data set shed, house: matched in this order" in caplog.text


def test_mask_pictures_are_truth_too(painter, decision, tmp_path):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[2:8, 3:9] = mask[12:18, 3:9] = 1
    write_png(tmp_path / "pictures" / "a.png", np.repeat(mask[..., None] * 255, 3, axis=-1))
    write_mask(tmp_path / "masks" / "a.png", mask)
    source = MaskSource(tmp_path / "pictures", tmp_path / "masks")
    case = RunCases(painter(["roof"]), source, np.array([0]), decision)[0]
    assert (case.picture_id, case.name) == (1, "a.png")
    assert np.array_equal(case.prediction, case.mask)
    assert [len(roofs.rles) for roofs in (*case.truth, *case.found)] == [2, 2]


def test_results_files_are_named_by_as_little_as_tells_them_apart(poor, perfect, split):
    paths = [str(split / "poor.json"), str(split / "perfect.json")]
    subjects = of_files(paths, str(split / "truth.json"), images=None, cache=split / "cache")
    assert [subject.name for subject in subjects] == ["poor", "perfect"]
    assert subjects[0].record["predictions"] == paths[0]
    assert len(subjects[0].cases) == 3


def test_files_of_one_name_are_named_by_their_folders(poor, split):
    (split / "b").mkdir()
    (split / "b" / "poor.json").write_bytes((split / "poor.json").read_bytes())
    paths = [str(split / "poor.json"), str(split / "b" / "poor.json")]
    subjects = of_files(paths, str(split / "truth.json"), images=str(split / "images"), cache=split / "cache")
    assert [subject.name for subject in subjects] == [f"{split.name}-poor", "b-poor"]


def test_names_may_end_in_numbers_after_a_dot(poor, split):
    for name in ("v1.0", "v1.1"):
        (split / name).write_bytes((split / "poor.json").read_bytes())
    paths = [str(split / name) for name in ("v1.0", "v1.1")]
    assert [
        subject.name for subject in of_files(paths, str(split / "truth.json"), images=None, cache=split / "cache")
    ] == [
        "v1.0",
        "v1.1",
    ]


def test_run_lengths_alone_are_told_of(poor, split, caplog):
    of_files([str(split / "poor.json")], str(split / "truth.json"), images=None, cache=split / "cache")
    assert "4 of 4 results are run lengths without outlines" in caplog.text


def test_the_same_twice_is_refused(poor, split):
    path = str(split / "poor.json")
    with pytest.raises(ConfigError, match="named twice"):
        of_files([path, path], str(split / "truth.json"), images=None, cache=split / "cache")


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="name what to score"):
        of_runs([], {}, CHOICE)
    with pytest.raises(ConfigError, match="needs annotations=FILE"):
        of_files(["x.json"], None, images=None, cache=None)


def test_any_test_time_augmentation_of_predict_may_be_scored():
    with pytest.raises(ConfigError, match="tta=spin: choose flips, d4, scales, large or null"):
        of_runs(["run"], {}, replace(CHOICE, views="spin"))
    with pytest.raises(ConfigError, match="name what to score"):
        of_runs([], {}, replace(CHOICE, views="large"))


def test_what_cocoeval_counts_otherwise_is_told(split, caplog):
    content = json.loads((split / "truth.json").read_text())
    content["annotations"][0]["id"] = 0
    content["annotations"][1]["id"] = content["annotations"][2]["id"]
    content["annotations"][3]["segmentation"] = [[80, 0, 90, 0, 90, 9]]
    (split / "truth.json").write_text(json.dumps(content))
    (split / "found.json").write_text("[]")
    of_files([str(split / "found.json")], str(split / "truth.json"), images=None, cache=split / "cache")
    assert (
        "AP and AR are those of COCOeval: annotations that cover no pixel (1) count as roofs that nobody finds, of "
        "several annotations with one id the last counts for all, a match with the annotation of id 0 does not count; "
        "check_data.py fix=CLEAN writes annotations without this"
    ) in caplog.text


def test_a_run_is_not_judged_in_the_box_of_an_outline_that_cannot_be_drawn(painter, split, decision):
    content = json.loads((split / "truth.json").read_text())
    content["annotations"].append(
        {"id": 6, "image_id": 20, "category_id": 1, "segmentation": [[]], "bbox": [10, 5, 30, 20]}
    )
    (split / "truth.json").write_text(json.dumps(content))
    seen = np.zeros((48, 80, 3), np.uint8)
    seen[6:24, 12:38] = 255
    write_png(split / "images" / "20.png", seen)
    index = open_index(split / "truth.json", cache=split / "cache")
    source = CocoSource(split / "images", index, ["house"])
    cases = RunCases(painter(["roof"]), source, np.array([2]), decision)
    assert cases[0].prediction[0].sum() == 18 * 26
    counted = count_picture(cases[0], max_dets=100)
    assert counted.rows["object"].tolist()[:3] == [0, 0, 0]  # neither found, invented nor missed
    assert counted.rows["pixel"].tolist()[:3] == [0, 0, 0]
