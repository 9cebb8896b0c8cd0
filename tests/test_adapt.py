"""The whole way of a mapper, through the real scripts: predict, correct, adapt, predict again."""

import json
import re

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio import Affine
from shapely import affinity, box

from rooftop.run import load
from tests.adaptation.conftest import opened

QUICK = ("steps=2", "batch_size=2", "window=32", "memory=null", "device=cpu", "largest=60")
GSD = 0.5


@pytest.fixture
def town(tiny, tmp_path):
    """Ten training pictures of 48 x 80 px side by side: 96 x 400 px at 0.5 m in UTM 45 north."""
    files = sorted((tiny / "images" / "train").iterdir())
    pictures = [np.moveaxis(np.asarray(Image.open(name)), -1, 0) for name in files]
    values = np.concatenate([np.concatenate(pictures[i::2], axis=2) for i in (0, 1)], axis=1)
    profile = {"count": 3, "height": 96, "width": 400, "dtype": "uint8", "crs": "EPSG:32645"}
    path = tmp_path / "town.tif"
    profile["transform"] = Affine(GSD, 0, 400_000, 0, -GSD, 3_060_000)
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(values)
    return path


@pytest.fixture
def predict(run_script, trained, town, tmp_path):
    """predict(out, *overrides) -> folder of a prediction with squares of 20 m."""

    def run(out, *overrides):
        given = (f"run={trained}", f"source={town}", f"hydra.run.dir={tmp_path / out}")
        code, text = run_script("predict", *given, "polygons.min_area=0", "check.size=20", "check.count=8", *overrides)
        assert code == 0, text
        return tmp_path / out

    return run


def corrected(path):
    """Edit as QGIS does: delete, reshape, split, add; a multi-part roof with heights, a new field."""
    roofs = geopandas.read_file(path, layer="roofs", fid_as_index=True)
    squares = geopandas.read_file(path, layer="check_first")
    checked = squares.geometry.iloc[:6].union_all()
    inside = roofs[roofs.geometry.centroid.within(checked)]
    gone, wider, cut = inside.index[:3]
    roofs = roofs.drop(index=gone)
    roofs.loc[wider, "geometry"] = affinity.scale(roofs.geometry[wider], 1.2, 1.2)
    left, bottom, right, top = roofs.geometry[cut].bounds
    halves = [box(left, bottom, (left + right) / 2, top), box((left + right) / 2, bottom, right, top)]
    roofs = roofs.drop(index=cut)
    x, y = squares.geometry.iloc[0].centroid.coords[0]
    parts = shapely.force_3d(shapely.MultiPolygon([box(x, y, x + 3, y + 3), box(x + 4, y, x + 6, y + 3)]), 12.0)
    new = geopandas.GeoDataFrame(geometry=[*halves, parts], crs=roofs.crs)
    edited = geopandas.GeoDataFrame(geopandas.pd.concat([roofs.reset_index(drop=True), new]), crs=roofs.crs)
    edited["note"] = "seen"
    edited.to_file(path, layer="roofs")


def test_a_mapper_corrects_squares_and_gets_weights_for_the_town(run_script, predict, trained, town, tmp_path):
    first = predict("first")
    corrected(first / "roofs.gpkg")
    out = f"hydra.run.dir={tmp_path / 'adapted'}"
    with opened(first / "roofs.gpkg") as edit:  # and still open while it is read
        edit.check(1, 2, 3, 4, 5, 6)
        code, text = run_script(
            "adapt", f"run={trained}", f"source={town}", f"corrected={first / 'roofs.gpkg'}", out, *QUICK
        )
    assert code == 0, text
    assert "checked now: 6 squares" in text
    added, removed, reshaped = map(int, re.search(r"(\d+) added, (\d+) removed, (\d+) reshaped", text).groups())
    assert added >= 2  # two parts of the new roof, and of the split one at least the smaller half
    assert removed >= 1
    assert reshaped >= 1
    scores = json.loads((tmp_path / "adapted" / "scores.json").read_text())
    assert scores["pictures"] == 6
    assert 0 <= scores["pixel"]["iou"] <= 1
    assert {"pixel.iou", "object.f1"} == {*scores["difference"]}
    assert load(tmp_path / "adapted").card.scores["before"] == scores["before"]
    assert "before: IoU" in (tmp_path / "adapted" / "report.html").read_text()
    assert len([*(tmp_path / "adapted" / "squares" / "images").iterdir()]) == 6

    again = predict("again", f"run={tmp_path / 'adapted'}")
    with opened(again / "roofs.gpkg") as edit:
        edit.check(1, 2)
    code, text = run_script(
        *("adapt", f"run={tmp_path / 'adapted'}", f"source={town}", f"corrected={again / 'roofs.gpkg'}"),
        *(f"hydra.run.dir={tmp_path / 'second'}", *QUICK),
    )
    assert code == 0, text
    assert int(re.search(r"with those of earlier rounds: (\d+) squares", text)[1]) >= 6
    assert load(tmp_path / "second").card.data["start"] == str(trained)


def test_footprints_and_an_area_do_as_well(run_script, trained, town, tmp_path):
    corner = 400_000, 3_060_000
    roofs = [box(corner[0] + x, corner[1] - 20, corner[0] + x + 8, corner[1] - 10) for x in range(4, 180, 20)]
    geopandas.GeoDataFrame(geometry=roofs, crs="EPSG:32645").to_crs(4326).to_file(tmp_path / "osm.geojson")
    area = box(corner[0], corner[1] - 48, corner[0] + 200, corner[1])
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32645").to_crs(3857).to_file(tmp_path / "area.gpkg")
    code, text = run_script(
        *("adapt", f"run={trained}", f"source={town}", f"footprints={tmp_path / 'osm.geojson'}"),
        *(f"area={tmp_path / 'area.gpkg'}", f"hydra.run.dir={tmp_path / 'out'}", *QUICK),
    )
    assert code == 0, text
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["pictures"] == 4  # ground of 200 x 48 m makes four squares of 50 m
    assert "squares that they did not see" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), "corrected= is not set"),
        (("footprints=osm.gpkg",), "footprints=osm.gpkg: area=FILE is missing"),
        (("corrected=none.gpkg",), "no such file"),
        (("corrected=none.gpkg", "folds=1"), "folds=1: must be 2 or more"),
        (("corrected=none.gpkg", "memory_share=1"), "memory_share=1.0: must be a share"),
        (("corrected=none.gpkg", "memory=masks"), "memory=masks: no data set"),
        (("corrected=none.gpkg", "optimizer.lr=-1"), "optimizer: Invalid learning rate: -1"),
        (("corrected=none.gpkg", "device=cuda"), "device=cuda: "),
        (("corrected=none.gpkg", "scheduler=none"), "no such file"),
    ],
)
def test_errors_are_one_sentence_before_any_work(run_script, town, overrides, message):
    code, text = run_script("adapt", f"source={town}", *overrides)
    assert code == 2
    assert message in text
    assert "Traceback" not in text
