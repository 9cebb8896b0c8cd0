import errno
import json
from importlib import import_module

import numpy as np
import pyogrio.raw
import pytest
import shapely
from PIL import Image
from rasterio import Affine

from rooftop.errors import RooftopError
from rooftop.inference.distributed import Processes
from rooftop.inference.predict import _on_sheet
from rooftop.inference.predictor import Predictor
from rooftop.inference.unfinished import Canvas, try_lock


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
    monkeypatch.setattr("rooftop.inference.outputs.MOST", 40 * 110)
    summary = find(f"{tmp_path}/?.tif")
    assert [row["picture"] for row in summary["pictures"]] == [small, large]
    assert summary["not_in_coco"] == [large]
    results = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert {result["image_id"] for result in results} == {1}


def test_a_scene_that_could_not_be_written_to_the_end_is_not_predicted_again(find, raster, town, tmp_path, monkeypatch):
    path, asked, forward = raster(town), [], Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, seen: asked.append(len(seen)) or forward(self, seen))
    with monkeypatch.context() as full, pytest.raises(OSError, match="No space"):
        full.setattr(import_module("rooftop.inference.predict"), "write_coco", _full)
        find(path)
    assert asked
    asked.clear()
    assert find(path)["roofs"] == 12
    assert not asked
    assert not [*(tmp_path / "unfinished").iterdir()]


@pytest.fixture
def stops(monkeypatch):
    """Let the network answer so many batches and then stop; returns those that were asked since."""

    def stop(after=10**9):
        asked = []
        monkeypatch.undo()

        def forward(self, pictures, whole=Predictor.forward):
            if len(asked) == after:
                raise KeyboardInterrupt
            asked.append(len(pictures))
            return whole(self, pictures)

        monkeypatch.setattr(Predictor, "forward", forward)
        return asked

    return stop


@pytest.fixture
def sheets(raster, town, tmp_path):
    """Three scenes; of a pattern."""
    for number in range(3):
        raster(town[:, :, number:], f"sheet{number}.tif")
    return f"{tmp_path}/sheet?.tif"


def test_of_a_folder_of_scenes_those_that_are_done_are_not_predicted_twice(find, sheets, tmp_path, stops):
    asked = stops()
    find(sheets, out="one")
    with pytest.raises(KeyboardInterrupt):
        stops(after=len(asked) - 1), find(sheets, out="two")
    (scene,) = {path.parent for path in (tmp_path / "unfinished").rglob("*.u8")}
    assert len([*(tmp_path / "unfinished").rglob("*.gz")]) > 1, "canvases of finished scenes are compressed"
    assert not [*scene.glob("*.gz")]
    again = stops()
    find(sheets, out="two")
    assert len(asked) == 3 * len(again)  # of the last one also the row above, for the ramp into the next
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file() and path.name != "summary.json":
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert not [*(tmp_path / "unfinished").iterdir()]


def test_scenes_are_not_kept_where_the_disk_has_no_room_for_them(find, sheets, tmp_path, stops, monkeypatch):
    def full(canvas, row):
        raise RooftopError("no space left")

    seen, require_room = [], Canvas.require_room
    stops()
    monkeypatch.setattr(Canvas, "_compress", full)
    monkeypatch.setattr(
        Canvas,
        "require_room",
        lambda canvas: seen.append(len([*canvas.folder.parent.iterdir()])) or require_room(canvas),
    )
    assert len(find(sheets)["pictures"]) == 3
    assert seen == [1, 1, 1]


def test_scenes_that_are_kept_make_room_for_the_next(find, sheets, tmp_path, stops, monkeypatch):
    """A disk on which no more than one scene fits, packed ones included."""

    def require_room(canvas, enough=Canvas.require_room):
        enough(canvas)
        if [*canvas.folder.parent.rglob("*.gz")]:
            raise RooftopError("no space left")

    stops()
    monkeypatch.setattr(Canvas, "require_room", require_room)
    assert len(find(sheets)["pictures"]) == 3
    assert not [*(tmp_path / "unfinished").iterdir()]


def test_a_scene_that_another_prediction_has_taken_up_is_left_to_it(find, sheets, tmp_path, stops):
    stops(after=4)
    with pytest.raises(KeyboardInterrupt):
        find(sheets)
    waiting = [*(tmp_path / "unfinished").iterdir()]
    with try_lock(waiting[0]) as free:
        assert free
        stops()
        find(sheets)
        assert [*(tmp_path / "unfinished").iterdir()] == waiting[:1]


def _full(path, found, categories):
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
        find(photos() if kind == "pictures" else f"{tmp_path}/?.tif", processes=Processes(watch=watch))
    assert len([*(tmp_path / "out").glob("masks/*")]) == written
    assert not (tmp_path / "out" / "summary.json").exists()


def test_sheets_side_by_side_give_one_layer_with_the_roofs_on_their_border_joined(find, raster, town, tmp_path):
    """The town, twice as large, in two halves, cut at column 74: through the second roof of each row, from 60 to 90."""
    large = town.repeat(2, axis=1).repeat(2, axis=2)
    raster(large[:, :, :74], "left.tif")
    raster(large[:, :, 74:], "right.tif", transform=Affine(0.3, 0, 4e5 + 0.3 * 74, 0, -0.3, 3.06e6))
    summary = find(f"{tmp_path}/*t.tif", formats=("gpkg", "geojson", "fgb"))
    assert summary["roofs"] == 15
    assert summary["merged"] == {"sheets": 2, "roofs": 12, "joined": 3}
    wkb = pyogrio.raw.read(tmp_path / "out" / "roofs.gpkg", layer="roofs")[2]
    assert all(shape.area == pytest.approx(54) for shape in shapely.from_wkb(wkb))
    assert pyogrio.read_info(tmp_path / "out" / "roofs.fgb")["features"] == 12
    assert len(json.loads((tmp_path / "out" / "roofs.geojson").read_text())["features"]) == 12
    assert not (tmp_path / "out" / ".roofs").exists()


def test_of_a_picture_without_a_place_there_is_geojson_alone(find, photos, tmp_path):
    assert "merged" not in find(photos(), formats=("shp",))
    assert {path.suffix for path in (tmp_path / "out" / "roofs").iterdir()} == {".geojson"}
