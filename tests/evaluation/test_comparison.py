import csv
import json

import pytest

from rooftop.errors import DataError
from rooftop.evaluation import FileCases, Settings, evaluate_split, write_comparison
from rooftop.evaluation.comparison import differ

SETTINGS = Settings(100, 40, 0, None, 1)


@pytest.fixture
def systems(perfect, poor, tmp_path):
    cases = {"perfect": perfect, "poor": poor}
    return {name: evaluate_split(each, tmp_path / name, SETTINGS, {}) for name, each in cases.items()}


def test_differences_are_those_of_the_scores(systems):
    found = differ(systems["poor"], systems["perfect"])
    gap = systems["poor"].scores["pixel"]["iou"] - systems["perfect"].scores["pixel"]["iou"]
    difference = found["pixel"]["iou"]
    assert difference.value == gap < 0
    assert difference.interval[0] <= gap <= difference.interval[1]
    assert difference.higher < 0.5
    assert difference.certain == (difference.interval[1] < 0)


def test_a_system_does_not_differ_from_itself(systems):
    same = differ(systems["poor"], systems["poor"])["pixel"]["iou"]
    assert (same.value, same.interval, same.higher, same.certain) == (0, (0, 0), 0.5, False)


def test_the_comparison_is_written_and_told(systems, tmp_path, capsys):
    write_comparison(tmp_path, systems)
    read = json.loads((tmp_path / "comparison.json").read_text())
    assert read["compared_with"] == "perfect"
    assert read["systems"]["perfect"]["pixel"]["iou"] == 1
    assert read["differences"]["poor"]["pixel"]["iou"]["value"] < 0
    with (tmp_path / "comparison.csv").open(newline="") as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    assert float(rows["pixel.iou"]["poor difference"]) == read["differences"]["poor"]["pixel"]["iou"]["value"]
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "A: perfect" in page
    assert "B − A" in page
    assert "poor" in capsys.readouterr().out


def test_names_are_text_on_the_page_and_in_the_chart(systems, tmp_path):
    write_comparison(tmp_path, {"<b>one": systems["perfect"], "<script>": systems["poor"]})
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "<dd>&lt;b&gt;one</dd>" in page
    assert "A: &lt;b&gt;one" in page  # the chart's legend, drawn by matplotlib
    assert "<script" not in page


def test_other_pictures_cannot_be_compared(systems, perfect, tmp_path):
    class Fewer(FileCases):
        def __len__(self):
            return 2

    fewer = Fewer(perfect.results, perfect.index)
    done = evaluate_split(fewer, tmp_path / "fewer", SETTINGS, {})
    with pytest.raises(DataError, match="perfect and fewer were scored on different pictures"):
        write_comparison(tmp_path, {"perfect": systems["perfect"], "fewer": done})
