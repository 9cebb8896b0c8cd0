import errno
import json

import numpy as np
import pytest
from PIL import Image

from rooftop.errors import RooftopError
from rooftop.inference import everything
from rooftop.inference.everything import _on_sheet
from rooftop.inference.predictor import Predictor
from rooftop.inference.ranks import Ranks


@pytest.fixture
def photos(tmp_path, town):
    """Nine pictures, of which those in `damaged` cannot be read."""

    def save(damaged=()):
        folder = tmp_path / "photos"
        folder.mkdir()
        for i in range(9):
            path = folder / f"{i}.png"
            Image.fromarray(np.moveaxis(town, 0, -1)).save(path)
            if i in damaged:
                path.write_bytes(path.read_bytes()[:100])
        return folder

    return save


def test_the_contact_sheet_shows_what_is_left_where_all_others_are_damaged(find, photos, tmp_path):
    """Without a damaged one, picture 7 of 9 would not be on it."""
    summary = find(photos(damaged={0, 1, 2, 3, 4, 5, 6, 8}))
    assert [row["roofs"] for row in summary["pictures"]] == [12]
    assert len(summary["skipped"]) == 8
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_the_contact_sheet_is_spread_over_all_and_filled_up():
    assert _on_sheet([*range(71)], 71) == [0, 10, 20, 30, 40, 50, 60, 70]
    assert _on_sheet([i for i in range(71) if i not in (10, 70)], 71) == [0, 1, 2, 20, 30, 40, 50, 60]
    assert _on_sheet([2, 1], 3) == [1, 2]


def test_a_scene_too_large_for_coco_is_listed(find, raster, town, tmp_path, monkeypatch):
    small, large = raster(town[:, :40], "a.tif"), raster(town, "b.tif")
    monkeypatch.setattr("rooftop.inference.vectors.MOST", 40 * 110)
    summary = find(f"{tmp_path}/?.tif")
    assert [row["picture"] for row in summary["pictures"]] == [small, large]
    assert summary["not_in_coco"] == [large]
    results = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert {result["image_id"] for result in results} == {1}


def test_a_scene_that_could_not_be_written_to_the_end_is_not_predicted_again(find, raster, town, tmp_path, monkeypatch):
    path, asked, forward = raster(town), [], Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, seen: asked.append(len(seen)) or forward(self, seen))
    with monkeypatch.context() as full, pytest.raises(OSError, match="No space"):
        full.setattr(everything, "write_coco", _full)
        find(path)
    assert asked
    asked.clear()
    assert find(path)["roofs"] == 12
    assert not asked
    assert not [*(tmp_path / "unfinished").iterdir()]


def _full(path, found):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("kind", "call", "written"), [("pictures", 4, 3), ("scenes", 2, 0)])
def test_a_process_with_sources_of_its_own_hears_that_another_one_failed(
    find, photos, raster, town, tmp_path, kind, call, written
):
    """Before the next picture, and within a scene; what it has done so far stays."""
    heard = []

    def watch():
        heard.append(1)
        if len(heard) == call:
            raise RooftopError("another process failed")

    raster(town, "a.tif"), raster(town, "b.tif")
    with pytest.raises(RooftopError, match="another process"):
        find(photos() if kind == "pictures" else f"{tmp_path}/?.tif", ranks=Ranks(watch=watch))
    assert len([*(tmp_path / "out").glob("masks/*")]) == written
    assert not (tmp_path / "out" / "summary.json").exists()
