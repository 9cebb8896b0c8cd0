"""The page needs nothing but itself, and nothing read from a file becomes part of its code."""

import re

import numpy as np

from rooftop.audit import summary, write_report
from rooftop.audit.report import histogram, logarithmic
from tests.audit.conftest import scene


def page(planted, tmp_path):
    splits, _ = planted.audit()
    write_report(tmp_path / "report.html", "a <set>", splits)
    return (tmp_path / "report.html").read_text()


def test_it_says_when_nothing_was_found(planted, tmp_path):
    text = page(planted, tmp_path)
    assert "Nothing was found." in text
    assert "no errors" in text
    assert "a &lt;set&gt;" in text


def test_it_shows_findings_and_needs_no_other_file(planted, tmp_path):
    planted.add_picture("train", "copy.png", scene(3))
    planted.add_annotation("val", 2, segmentation=[[10, 10, 30, 30, 30, 10, 10, 30]])
    (planted.root / "val" / "val_3.png").write_bytes(b"no picture")
    text = page(planted, tmp_path)
    assert "3 errors" in text
    assert 'polygon class="chosen"' in text
    assert text.count("data:image/jpeg;base64,") >= 3
    assert re.search(r"<b>val/val_3.png</b><br>not a picture that can be read", text)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "http" not in text


def test_names_are_escaped(planted, tmp_path):
    planted.add_entry("train", "<script>alert(1)<b>.png")
    text = page(planted, tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_report_has_the_numbers(planted):
    planted.add_annotation("test", 999)
    planted.add_picture("test", "empty.png", scene(77))
    splits, _ = planted.audit()
    numbers = summary(splits)
    assert numbers["errors"] == 1
    part = numbers["splits"]["test"]
    assert (part["pictures"], part["objects"]) == (7, 6)
    assert part["empty_share"] == 1 / 7
    assert part["objects_by_category"] == {"building": 6}
    assert part["area_percentiles"]["50"] == 240
    listed = part["findings"]["annotation left out"]["listed"]
    assert listed == [{"annotation": 7, "detail": "of an unknown picture"}]
    pixels = np.concatenate([scene(i).reshape(-1, 3) for i in (0, 1, 2, 3, 4, 5, 77)]) / 255
    assert np.allclose(part["mean"], pixels.mean(axis=0), atol=1e-4)
    assert np.allclose(part["std"], pixels.std(axis=0), atol=1e-4)


def test_a_histogram_holds_every_value():
    plot = histogram("sizes", [1, 2, 2, 1000], np.array([1.0, 2, 4]))
    assert [(bar.low, bar.high, bar.count) for bar in plot.bars] == [("1", "2", 1), ("2", "4", 3)]
    assert [text for text, *_ in plot.labels] == ["1", "2", "4"]


def test_logarithmic_edges_of_nothing():
    assert len(logarithmic([])) == 2
    edges = logarithmic([0, 5, 5])
    assert np.all(np.diff(edges) > 0)
