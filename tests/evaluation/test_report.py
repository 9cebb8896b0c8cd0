import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from rooftop.coco import Result, open_index, read_results, write_results
from rooftop.errors import DataError
from rooftop.evaluation import FileCases, RunCases, Settings, evaluate_split, write_report
from rooftop.evaluation.counts import SplitCounts, count_picture
from rooftop.evaluation.examples import rank
from rooftop.evaluation.score import LABELS, SECTIONS
from rooftop.raster.rasterise import encode

SETTINGS = Settings(100, 10, 0, None, 1)
VOID = {"meta", "img", "br"}


class Balance(HTMLParser):
    """Fails where a tag is closed that is not open; collects the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.images = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.images += tag == "img"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    page = Balance()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def report(cases, folder, subject=None):
    done = evaluate_split(cases, folder, SETTINGS, subject or {"threshold": None})
    write_report(folder / "report.html", done, cases)
    return done, read(folder / "report.html")


def test_the_report_of_two_files(poor, tmp_path):
    done, page = report(poor, tmp_path, {"predictions": "a<b>.json", "threshold": None})
    text = " ".join(page.text)
    for word in ("How well are the roofs found?", "Errors, sorted by kind", "By size of roof", "All scores"):
        assert word in text
    assert "a<b>.json" in text  # escaped on the page
    assert "Reliability" not in text
    for section, scores in done.scores.items():
        assert all(LABELS[f"{section}.{name}"][0] in text for name in scores)


def test_the_report_is_one_file_that_asks_nobody(poor, tmp_path):
    report(poor, tmp_path)
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    asked = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|<script|@import', content)
    assert asked == []


def test_the_report_of_a_run_shows_curves_and_pictures(painter, half, decision, tmp_path):
    cases = RunCases(painter(["roof"]), *half, decision)
    _, page = report(cases, tmp_path, {"threshold": 0.5})
    text = " ".join(page.text)
    assert "Reliability" in text
    assert "threshold used, 0.50" in text
    assert page.images >= 3


def test_without_pictures_it_draws_on_grey(poor, index, tmp_path):
    _, page = report(FileCases(poor.results, index), tmp_path)
    assert page.images > 0


def test_roofs_between_pixels_are_no_reason_to_fail(split, index, poor, tmp_path):
    truth = json.loads((split / "truth.json").read_text())
    sliver = {"segmentation": [[50.1, 30.1, 50.3, 30.1, 50.3, 30.3, 50.1, 30.3]], "area": 0.04, "bbox": [50, 30, 1, 1]}
    truth["annotations"].append({"id": 77, "image_id": 30, "category_id": 1, "iscrowd": 0, **sliver})
    (split / "truth.json").write_text(json.dumps(truth))
    index = open_index(split / "truth.json", cache=split / "cache")
    nothing = Result(30, 1, 0.5, encode(np.zeros((48, 80), np.uint8)))
    write_results(split / "poor.json", [nothing, *poor.results.of(30)])
    done, _ = report(FileCases(read_results(split / "poor.json", index), index), tmp_path)
    assert done.scores["object"]["f1"] < 1


def test_pictures_of_another_size_are_named(poor, split):
    Image.new("RGB", (50, 48)).save(split / "images" / poor.index.names[0])
    with pytest.raises(DataError, match=r"50 x 48 px, but 80 x 48 in the annotations; name the folder"):
        poor.picture(0)


def test_best_median_and_worst_are_told_apart(poor):
    tally = SplitCounts([count_picture(poor[i], max_dets=9) for i in range(3)], ["house", "shed"])
    # by id: 10 misses a shed of 64 in 784; 20 is invented; 30 is off by a little more
    assert rank(tally, 1) == {"best": [0], "median": [2], "worst": [1]}
    assert rank(tally, 2) == {"best": [0, 2], "median": [], "worst": [1]}


def test_a_split_without_any_roof(split, index, tmp_path):
    class Nothing:
        def of(self, number):
            return []

    (cases := FileCases(Nothing(), index, categories=["shed"])).index = index
    _, page = report(cases, tmp_path)
    assert "All scores" in " ".join(page.text)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_score_has_words(section, perfect, tmp_path):
    done = evaluate_split(perfect, tmp_path, SETTINGS, {})
    assert {f"{section}.{name}" for name in done.scores[section]} <= LABELS.keys()
