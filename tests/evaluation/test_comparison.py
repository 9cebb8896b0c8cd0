import csv
import json
from dataclasses import replace

import pytest

from rooftop.errors import DataError
from rooftop.evaluation import FileCases, Settings, evaluate_split, write_comparison
from rooftop.evaluation.comparison import Difference, System, differ, systems_of
from rooftop.metrics.seeds import Welch

SETTINGS = Settings(100, 40, 0, None, 1)


@pytest.fixture
def systems(perfect, poor, tmp_path):
    cases = {"perfect": perfect, "poor": poor}
    scored = {name: evaluate_split(each, tmp_path / name, SETTINGS, {}) for name, each in cases.items()}
    return {system.name: system for system in systems_of(scored)}


def seeds(system, name, shifts):
    """A system of runs whose IoU differs by `shifts` from that of another one."""
    (run,) = system.runs.values()
    runs = {}
    for i, shift in enumerate(shifts):
        pixel = {**run.scores["pixel"], "iou": run.scores["pixel"]["iou"] + shift}
        drawn = {**run.draws["pixel"], "iou": run.draws["pixel"]["iou"] + shift}
        pixels = {"scores": {**run.scores, "pixel": pixel}, "draws": {**run.draws, "pixel": drawn}}
        runs[f"{name}{i}"] = replace(run, **pixels)
    return System.of(name, runs)


def test_differences_are_those_of_the_scores(systems):
    found = differ(systems["poor"], systems["perfect"])
    gap = systems["poor"].scores["pixel"]["iou"] - systems["perfect"].scores["pixel"]["iou"]
    difference = found["pixel"]["iou"]
    assert difference.value == gap < 0
    assert difference.interval[0] <= gap <= difference.interval[1]
    assert difference.higher < 0.5
    assert difference.seeds is None


def test_a_system_does_not_differ_from_itself(systems):
    same = differ(systems["poor"], systems["poor"])["pixel"]["iou"]
    assert (same.value, same.interval, same.higher, same.mark) == (0, (0, 0), 0.5, "")


@pytest.mark.parametrize(
    ("seeds", "pictures", "mark"),
    [
        (None, 20, "°"),  # one seed each: only the choice of pictures is judged
        (None, 19, ""),  # and not over so few
        (Welch((-0.2, -0.1), 0.01), 4, "*"),
        (Welch((-0.3, 0.1), 0.2), 400, ""),  # another seed may turn it round, however many pictures
    ],
)
def test_a_mark_says_what_was_judged(seeds, pictures, mark):
    assert Difference(-0.1, (-0.2, -0.05), 0.0, seeds, pictures).mark == mark


def test_seeds_are_averaged_and_judged(systems, tmp_path, capsys):
    first = seeds(systems["poor"], "model.depth=3", (-0.01, 0.0, 0.01))
    better, close = (seeds(systems["poor"], f"a_{name}", (x, x + 0.01, x + 0.02)) for name, x in (("b", 0.1), ("c", 0)))
    iou = systems["poor"].scores["pixel"]["iou"]
    assert first.scores["pixel"]["iou"] == pytest.approx(iou)
    assert first.spread["pixel"]["iou"] == pytest.approx(0.01)
    assert (differ(better, first)["pixel"]["iou"].mark, differ(close, first)["pixel"]["iou"].mark) == ("*", "")
    write_comparison(tmp_path, [first, better, close])
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert f"| a_b | 3 | {iou + 0.11:.3f} ± 0.010* |" in text
    assert "Welch's t-test" in text
    assert "\n\nOnly 3 pictures" in text
    assert "\n\n\\* differs" in text
    tex = (tmp_path / "comparison.tex").read_text(encoding="utf-8")
    assert rf"a\_b & 3 & {iou + 0.11:.3f} $\pm$ 0.010$^{{*}}$ &" in tex
    assert tex.count(r"\\") == 4
    assert r"\toprule" in tex
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert record["differences"]["a_b"]["pixel"]["iou"]["seeds"]["p"] < 0.05
    assert list(record["systems"]["a_b"]["runs"]) == ["a_b0", "a_b1", "a_b2"]
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "A: model.depth=3 (3 seeds)" in page
    printed = capsys.readouterr().out
    assert f"{iou + 0.11:.3f}±0.010*" in printed  # on one line of 80 columns


def test_seeds_of_one_configuration_are_a_mean_and_no_comparison(systems, tmp_path, capsys):
    write_comparison(tmp_path, [seeds(systems["poor"], "run", (0.0, 0.02))])
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "± 0.014 |" in text  # 0.02 / sqrt(2)
    assert "more than the chance" not in text
    assert "How much does the seed matter?" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "run (2 seeds)" in capsys.readouterr().out


def test_the_comparison_is_written_and_told(systems, tmp_path, capsys):
    write_comparison(tmp_path, list(systems.values()))
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
    named = {"<b>one": systems["perfect"], "<script>": systems["poor"]}
    write_comparison(tmp_path, [replace(system, name=name) for name, system in named.items()])
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
        write_comparison(tmp_path, [systems["perfect"], System.of("fewer", {"fewer": done})])
