"""Pages are complete files; text from outside never becomes markup; a forgotten variable is an error."""

import math

import pytest
from jinja2 import UndefinedError

from rooftop.html import interval, number, render, write_page

AUDIT = {
    "name": "a <set>",
    "errors": 1,
    "notes": 0,
    "overview": [{"name": "train", "cells": ["6"] * 5, "mean": "[0.4]", "std": "[0.2]"}],
    "findings": [{"name": "leak", "is_error": True, "counts": [1], "remedy": "Let `fix` cut the <splits> anew."}],
    "worst": {"leak": [{"views": [], "where": "train/<b>.png", "detail": "1 > 0"}]},
    "distributions": [],
}


def test_a_page_is_one_file_with_its_style(tmp_path):
    write_page(tmp_path / "new" / "page.html", "audit.html", **AUDIT)
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert "<!doctype html>" in text
    assert text.rstrip().endswith("</html>")
    assert text.count('<meta name="viewport" content="width=device-width, initial-scale=1">') == 1
    assert 'name="viewport"' in text  # phones show it at their own width
    assert "@media" in text
    assert "<link" not in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_text_is_escaped_and_backticks_become_code():
    text = render("audit.html", **AUDIT)
    assert "Audit of a &lt;set&gt;" in text
    assert "train/&lt;b&gt;.png" in text
    assert "Let <code>fix</code> cut the &lt;splits&gt; anew." in text
    assert "1 error</span>" in text


def test_a_forgotten_variable_is_an_error():
    with pytest.raises(UndefinedError, match="name"):
        render("audit.html", **{name: value for name, value in AUDIT.items() if name != "name"})


def test_scores_without_a_value_are_dashes():
    assert [number(0.12345), number(2, 1), number(None), number(math.nan)] == ["0.123", "2.0", "–", "–"]
    assert [interval((0.1, 0.25)), interval(None), interval((math.nan, math.nan))] == ["0.100 to 0.250", "–", "–"]
