"""Made-up towns: the script as people run it, and what follows it."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from rooftop.coco import open_index
from rooftop.raster.rasterise import rasterise

SMALL = ("size=64", "gsd=0.5", "seed=3", "processes=1")


def test_pictures_and_annotations_that_can_be_checked_and_trained_on(run_script, fast, tmp_path):
    out = tmp_path / "towns"
    code, text = run_script(
        "make_synthetic", *SMALL, "count=12", "shares={train: 0.7, val: 0.3, test: 0}", f"hydra.run.dir={out}"
    )
    assert code == 0, text
    report = json.loads((out / "report.json").read_text())
    assert report["train"]["pictures"] + report["val"]["pictures"] == 12
    index = open_index(out / "annotations" / "train.json", cache=tmp_path)
    assert len(index) == report["train"]["pictures"] >= 7
    for name in index.names:
        with Image.open(out / "images" / "train" / name) as picture:
            assert (picture.size, picture.format) == ((64, 64), "JPEG")
    assert report["train"]["buildings"] == sum(len(index.objects(i)) for i in range(len(index))) > 10
    data = ("data=synthetic", f"data.root={out}", "data.gsd=0.5")
    assert run_script("check_data", *data)[0] == 0
    code, text = run_script("train", *data, *fast, "augmentation=none", "loss=bce", "trainer.max_epochs=1")
    assert code == 0, text


def test_what_few_pictures_say_to_type_next_leaves_out_splits_without_one(run_script, tmp_path):
    code, text = run_script("make_synthetic", *SMALL, "count=3", f"hydra.run.dir={tmp_path}/out")
    assert code == 0, text
    assert text.strip().endswith("data.gsd=0.5 data.val=null data.test=null")


@pytest.mark.slow
def test_a_second_run_goes_on_and_gives_the_same(run_script, tmp_path):
    def files(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.jp*g")}

    for name, count in (("whole", 6), ("parts", 3), ("parts", 6)):
        code, text = run_script("make_synthetic", *SMALL, f"count={count}", f"hydra.run.dir={tmp_path / name}")
        assert code == 0, text
    whole, parts = files(tmp_path / "whole"), files(tmp_path / "parts")
    assert len(whole) == 6
    assert whole == parts
    for split in ("train", "val"):
        texts = [(tmp_path / name / "annotations" / f"{split}.json").read_bytes() for name in ("whole", "parts")]
        assert texts[0] == texts[1]


def test_a_folder_of_other_settings_is_refused(run_script, tmp_path):
    run_script("make_synthetic", *SMALL, "count=1", f"hydra.run.dir={tmp_path}/out")
    code, text = run_script("make_synthetic", *SMALL, "count=1", "density=0.2", f"hydra.run.dir={tmp_path}/out")
    assert code == 2
    assert "holds pictures of other settings" in text


def test_wrong_settings_are_one_sentence(run_script):
    for override, said in (
        ("gsd=3", "gsd=3.0: must be from 0.1 to 1"),
        ("density=-1", "density=-1.0: must be a share from 0 to 1"),
        ("shares.train=0.3", "do not sum up to 1"),
        ("siez=3", "size"),
    ):
        code, text = run_script("make_synthetic", override)
        assert code == 2
        assert said in text
        assert len(text.strip().splitlines()) == 1


def test_a_scene_lies_on_the_map_with_its_roofs(run_script, tmp_path):
    out = tmp_path / "towns"
    code, text = run_script("make_synthetic", *SMALL, "count=0", "scene=160", f"hydra.run.dir={out}")
    assert code == 0, text
    code, text = run_script("make_synthetic", *SMALL, "count=0", "scene=160", "density=0.1", f"hydra.run.dir={out}")
    assert (code, "holds pictures of other settings" in text) == (2, True), text
    with rasterio.open(out / "scene_160.tif") as scene:
        assert (scene.crs.to_epsg(), scene.res, scene.shape) == (32645, (0.5, 0.5), (160, 160))
        pixels = np.moveaxis(scene.read(), 0, -1)
    assert 40 < pixels.mean() < 220
    source = (f"source={out}/scene_160.tif", f"footprints={out}/scene_160.geojson")
    cut = ("size=160", "shares={train: 1, val: 0, test: 0}", f"hydra.run.dir={tmp_path}/tiles")
    code, text = run_script("make_tiles", *source, *cut)
    assert code == 0, text
    truth = open_index(out / "scene_160.coco.json", cache=tmp_path)
    tiles = open_index(tmp_path / "tiles" / "annotations" / "train.json", cache=tmp_path)
    masks = [rasterise(index.objects(0), 160, 160) for index in (truth, tiles)]
    assert masks[0].mean() > 0.03
    assert (masks[0] != masks[1]).mean() < 0.005
