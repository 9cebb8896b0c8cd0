"""An orthophoto of four bands and 16 bits on the whole way: tiles, audit, training, scores, prediction of the scene."""

import json
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
import yaml
from shapely import Polygon

from rooftop.coco import open_index
from rooftop.data import RoofDataModule
from rooftop.inference import Predictor
from rooftop.raster.probability import STEP
from rooftop.run import load

DATA = Path(__file__).parents[1] / "data" / "banepa"
TILE = 256


@pytest.fixture
def orthophoto(tmp_path):
    """The embedded test area as uint16: 257 times red, green and blue, and an infrared made up from them."""
    with rasterio.open(DATA / "test_area.tif") as source:
        values, profile = source.read([1, 2, 3]).astype(np.uint16), source.profile
    infrared = 65535 - 200 * values[2]
    values = np.concatenate([values * 257, infrared[None].astype(np.uint16)])
    plain = {key: profile[key] for key in ("crs", "transform", "height", "width")}
    path = tmp_path / "ortho.tif"
    layout = {"driver": "GTiff", "count": 4, "dtype": "uint16", "tiled": True, "photometric": "minisblack"}
    with rasterio.open(path, "w", **plain, **layout) as file:
        file.write(values)
    return path


@pytest.fixture
def footprints(tmp_path, orthophoto):
    """The roofs of the test tiles, on the map."""
    index = open_index(DATA / "annotations" / "test.json", cache=tmp_path)
    places = np.array([[int(part) for part in Path(name).stem.split("_")[1:3]] for name in index.names])
    shifts = TILE * (places - places.min(axis=0))
    roofs = [Polygon(ring + shifts[i]) for i in range(len(index)) for thing in index.objects(i) for ring in thing.rings]
    with rasterio.open(orthophoto) as file:
        affine, crs = file.transform, file.crs.to_string()
    placed = shapely.transform(np.array(roofs, object), lambda points: np.column_stack(affine * points.T))
    path = tmp_path / "roofs.gpkg"
    pyogrio.raw.write(path, shapely.to_wkb(placed), [], [], geometry_type="Polygon", crs=crs, driver="GPKG")
    return path


@pytest.mark.slow
def test_from_orthophoto_to_roofs(run_script, orthophoto, footprints, fast, tmp_path):
    def run(script, *overrides, folder):
        code, text = run_script(script, *overrides, f"hydra.run.dir={tmp_path / folder}")
        assert code == 0, text

    run("make_tiles", f"source={orthophoto}", f"footprints={footprints}", folder="tiles")
    tiles = ("data=bands", "data.bands=[1,2,3,4]", f"data.root={tmp_path / 'tiles'}")
    run("check_data", *tiles, folder="audit")
    run("train", *fast, *tiles, "augmentation=bands", "trainer.max_epochs=1", folder="run")
    run("evaluate", f"run={tmp_path / 'run'}", *tiles, "bootstrap.rounds=9", folder="scored")
    one = ("window=256", "overlap=0", "tta=null", "polygons=exact")
    run("predict", f"run={tmp_path / 'run'}", f"source={orthophoto}", *one, folder="found")

    audit = json.loads((tmp_path / "audit" / "report.json").read_text())
    card = load(tmp_path / "run").card
    assert audit["scale"] == card.preparation["scale"]
    np.testing.assert_allclose(audit["splits"]["train"]["mean"], card.preparation["mean"], atol=0.01)
    first, second = (json.loads((tmp_path / name / "scores.json").read_text()) for name in ("run", "scored"))
    assert second["pixel"]["iou"] == pytest.approx(first["pixel"]["iou"], abs=1e-6)

    # windows of the scene that are tiles have the answers of the tiles
    config = yaml.safe_load((tmp_path / "run" / ".hydra" / "config.yaml").read_text())["data"]
    dataset = RoofDataModule({**config, **card.preparation}).dataset("test")
    predictor = Predictor(load(tmp_path / "run"))
    with rasterio.open(tmp_path / "found" / "probability.tif") as file:
        stored = file.read(1)
    for i, name in enumerate(dataset.names):
        row, column = (int(part) for part in Path(name).stem.split("_")[1:])
        window = stored[row : row + TILE, column : column + TILE].astype(int)
        probability = predictor.probability(dataset.source.picture(int(dataset.picks[i])))[0]
        assert np.abs(window - np.floor(probability / STEP)).max() <= 1  # a step where rounding falls on an edge
