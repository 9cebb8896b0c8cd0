"""Picture of a sweep."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rooftop.plots.sweep import sweep_chart


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """drawn(rows, keys, score) -> the figure, saved as PNG."""
    figures, save = [], Figure.savefig

    def keep(self, *arguments, **settings):
        figures.append(self)
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(rows, keys, score="monitor", name="val/iou"):
        sweep_chart(tmp_path / "sweep.png", rows, keys, score=score, name=name)
        with Image.open(tmp_path / "sweep.png") as picture:
            assert picture.format == "PNG"
        return figures[-1]

    return draw


def jobs(count, **keys):
    return [
        {"job": str(i), "monitor": i / count, **{key: values[i % len(values)] for key, values in keys.items()}}
        for i in range(count)
    ]


def test_a_panel_for_each_key_has_a_dot_for_each_job_in_the_order_of_values(drawn):
    figure = drawn(jobs(50, depth=["10", "9"], loss=["dice", "bce", "focal"]), ["depth", "loss"])
    depth, loss = figure.axes
    assert [label.get_text() for label in depth.get_xticklabels()] == ["9", "10"]
    assert [label.get_text() for label in loss.get_xticklabels()] == ["bce", "dice", "focal"]
    dots = depth.lines[0]
    assert dots.get_xdata().tolist() == [1, 0] * 25
    assert dots.get_ydata().tolist() == pytest.approx([i / 50 for i in range(50)])
    means = depth.lines[-1].get_ydata()
    assert means == pytest.approx([np.mean(range(1, 50, 2)) / 50, np.mean(range(0, 50, 2)) / 50])
    assert "best: 0.9800 in job 49" in figure.get_suptitle()


def test_a_searched_number_has_an_axis_of_numbers_and_a_low_loss_is_the_best(drawn):
    rates = [f"{10 ** (-4 + i / 20):.6f}" for i in range(50)]
    (axis,) = [axis for axis in drawn(jobs(50, lr=rates), ["lr"], name="val/loss").axes if axis.get_visible()]
    assert axis.get_xscale() == "log"
    assert axis.lines[1].get_ydata() == 0
    assert len(axis.lines) == 2  # no means of single jobs


def test_jobs_without_a_score_are_left_out(drawn):
    rows = [*jobs(3, seed=["0", "1", "2"]), {"job": "3", "seed": "3", "error": "no"}]
    assert drawn(rows, ["seed"]).get_suptitle().startswith("3 jobs")
