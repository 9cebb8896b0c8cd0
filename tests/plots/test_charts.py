import xml.etree.ElementTree as ElementTree

import numpy as np

from rooftop.plots.charts import interval_chart, precision_recall_chart, reliability_chart

LINE = np.linspace(0, 1, 5)


def missing(svg, *words):
    """Words that a sound drawing, which the page can size, does not show."""
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    text = " ".join(root.itertext())
    assert root.tag.endswith("svg")
    assert "width" not in root.attrib  # the page decides
    assert root.attrib["viewBox"]
    return [word for word in words if word not in text]


def test_precision_over_recall():
    assert not missing(
        precision_recall_chart({"pixels": (LINE, 1 - LINE)}, {"cut": (0.5, 0.5)}), "pixels", "cut", "recall"
    )


def test_reliability_with_empty_bins():
    said = np.array([0.1, np.nan, 0.9, 0.95])
    assert not missing(reliability_chart(said, said**2, np.array([5, 0, 3, 1])), "perfect", "share of pixels")


def test_intervals_of_several_systems():
    values = {"A: one": [(0.5, 0.4, 0.6), (np.nan, np.nan, np.nan)], "B: other": [(0.3, 0.2, 0.4), (0.1, 0.1, 0.1)]}
    assert not missing(interval_chart(["IoU", "AP"], values), "A: one", "B: other", "IoU")
