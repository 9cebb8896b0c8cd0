"""The script as people run it."""

import json
import shlex

import numpy as np
from PIL import Image

from rooftop.coco import STRAY


def test_masks_of_every_split_and_a_report(run_script, tiny, tmp_path):
    code, text = run_script("make_masks", f"data.root={tiny}")
    assert code == 0, text
    folder = tmp_path / "outputs" / "make_masks" / "banepa"
    assert len(list((folder / "train").glob("*.png"))) == 10
    mask = np.asarray(Image.open(folder / "test" / "18_3_9.png"))
    assert mask.shape == (48, 80)
    assert set(np.unique(mask)) == {0, 255}
    report = json.loads((folder / "report.json").read_text())
    assert report["train"]["made"] == 10
    assert report["test"]["annotations_left_out"] == {"counts": {}, "listed": []}


def test_a_second_run_goes_on(run_script, tiny, tmp_path):
    run_script("make_masks", f"data.root={tiny}", "limit=4", f"hydra.run.dir={tmp_path}/masks")
    code, text = run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks")
    assert code == 0, text
    assert "train: 6 masks made, 4 kept" in text
    resumed = (tmp_path / "masks" / "report.json").read_text()
    assert run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/whole")[0] == 0
    assert resumed == (tmp_path / "whole" / "report.json").read_text()
    assert run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks", "limit=4")[0] == 0
    assert resumed == (tmp_path / "masks" / "report.json").read_text()  # the set still holds all


def test_hidden_files_are_no_pictures_and_no_masks(run_script, tiny, tmp_path):
    """Of macOS beside each file, or of a killed process."""
    for folder in (tiny / "images" / "train", tmp_path / "masks" / "train"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("._18_0_0.png", f".{'6c' * 16}.png"):
            (folder / name).write_bytes(b"no picture")
    code, text = run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks")
    assert code == 0, text
    assert "train: 10 masks made, 0 kept" in text
    assert "train: 0 entries without file, 0 files without entry" in text
    whole = (
        "data=masks",
        f"data.root={tiny}",
        "data.train.images=images/train",
        f"data.train.masks={tmp_path}/masks/train",
    )
    code, text = run_script("check_data", *whole)
    assert code == 0, text
    assert (
        json.loads((tmp_path / "outputs/check_data/masks/report.json").read_text())["splits"]["train"]["pictures"] == 10
    )


def test_masks_of_other_annotations_are_not_trained_on(run_script, tiny, tmp_path, fast):
    assert run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks")[0] == 0
    path = tiny / "annotations" / "train.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": content["annotations"][1:]}))
    masks = f"data.masks={tmp_path}/masks"
    code, text = run_script("train", *fast, f"data.root={tiny}", masks, "trainer.max_epochs=1")
    assert (code, "make them again with make_masks.py" in text) == (2, True), text


def test_what_is_skipped_is_said(run_script, tiny, tmp_path):
    path = tiny / "annotations" / "test.json"
    content = json.loads(path.read_text())
    content["annotations"][3] |= {"segmentation": [[1, 1, 2, 2]], "bbox": [1, 1, 9, 9]}
    content["annotations"][2]["segmentation"].append([1, 1, 2, 2])
    path.write_text(json.dumps(content))
    (tiny / "images" / "test" / "18_0_9.png").rename(tiny / "images" / "test" / "other.png")
    code, text = run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks", "limit=2")
    assert code == 0, text
    part = json.loads((tmp_path / "masks" / "report.json").read_text())["test"]
    assert part["annotations_left_out"]["listed"] == [[4, "with fewer than 3 points"]]
    assert part["boxes_not_judged"] == 1
    assert part["annotations_used_in_part"]["listed"] == [[3, STRAY]]
    assert "1 annotation used in part: 1 with a ring of fewer than 3 points, left out" in " ".join(text.split())
    assert part["entries_without_file"] == ["18_0_9.png"]
    assert part["files_without_entry"] == ["other.png"]
    assert part["skipped"] == {"beyond the limit": 3}


def test_a_set_with_masks_has_nothing_to_make(run_script, tiny, tmp_path):
    arguments = ("data=masks", "data.train.images=images/train", "data.train.masks=images/train")
    code, text = run_script("make_masks", f"data.root={tiny}", *arguments)
    assert code == 0, text
    report = json.loads((tmp_path / "outputs" / "make_masks" / "masks" / "report.json").read_text())
    assert "has masks of its own" in report["train"]["skipped"]


def test_init_makes_the_tree(run_script, tmp_path):
    code, text = run_script("make_masks", "data=crowdai", f"data.root={tmp_path}/new", "init=true")
    assert code == 0, text
    assert (tmp_path / "new" / "train" / "images").is_dir()
    assert not list((tmp_path / "new").rglob("*.json"))


def test_an_empty_root_draws_the_tree(run_script, tmp_path):
    code, text = run_script("make_masks", "data=crowdai", f"data.root={tmp_path}/none")
    assert code == 2
    assert "train/annotation.json" in text
    assert "Traceback" not in text


def test_training_on_masks_of_disk_is_the_same_as_on_the_fly(run_script, tiny, tmp_path):
    from rooftop.coco import open_index
    from rooftop.data.sources import CocoSource

    path = tiny / "annotations" / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"segmentation": [[]], "bbox": [10, 5, 30, 20]}  # not judged there, in both
    path.write_text(json.dumps(content))
    run_script("make_masks", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/masks")
    index = open_index(tiny / "annotations" / "train.json", cache=tmp_path)
    images = tiny / "images" / "train"
    drawn, read = CocoSource(images, index), CocoSource(images, index, masks=tmp_path / "masks" / "train")
    for i in range(len(index)):
        assert np.array_equal(drawn.truth(i)[0], read.truth(i)[0])
        assert np.array_equal(drawn.truth(i)[1], read.truth(i)[1])
    assert not all(read.truth(i)[1].all() for i in range(len(index)))


def test_what_it_says_to_type_next_trains_on_the_masks(run_script, tiny, tmp_path, fast):
    more = ("data=coco", f"data.root={tiny}", "data.categories=[building]", "data.gsd=0.5", "data.val=null")
    split = "data.{0}={{images: images/{0}, annotations: annotations/{0}.json}}"
    code, text = run_script("make_masks", *more, split.format("train"), split.format("test"))
    assert code == 0, text
    words = shlex.split(text.strip().splitlines()[-1].partition("next: python train.py ")[2])
    assert f"data.masks={tmp_path}/outputs/make_masks/coco" in words
    code, text = run_script("train", *fast, *words, "trainer.max_epochs=1")
    assert code == 0, text


def coco(tiny, edit):
    """The training pictures as a set of one COCO file, changed by `edit`; returns its settings."""
    path = tiny / "annotations" / "train.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return "data=coco", f"data.root={tiny}", "data.train={images: images/train, annotations: annotations/train.json}"


def next_settings(text):
    (line,) = [line for line in text.splitlines() if "next: python train.py " in line]
    return shlex.split(line.partition("next: python train.py ")[2])


def test_the_told_command_trains_although_a_category_is_empty(run_script, tiny, tmp_path, fast):
    def rooted(content):
        content["categories"].insert(0, {"id": 0, "name": "buildings"})

    code, text = run_script("make_masks", *coco(tiny, rooted), f"hydra.run.dir={tmp_path}/masks")
    assert code == 0, text
    code, text = run_script("train", *fast, *next_settings(text), "trainer.max_epochs=1", "data.gsd=0.3")
    assert code == 0, text


def test_no_command_is_told_that_would_fail(run_script, tiny, tmp_path):
    def two(content):
        content["categories"].append({"id": 7, "name": "shed"})
        content["annotations"][0]["category_id"] = 7

    settings = coco(tiny, two)
    code, text = run_script("make_masks", *settings, f"hydra.run.dir={tmp_path}/masks")
    assert code == 0, text
    assert "next:" not in text
    assert "holds one category; choose one of building, shed by data.categories=[NAME]" in text
    code, text = run_script("make_masks", *settings, f"hydra.run.dir={tmp_path}/one", "data.categories=[building]")
    assert "data.categories=[building]" in next_settings(text)
    text = run_script("make_masks", *settings, f"hydra.run.dir={tmp_path}/limited", "limit=2")[1]
    assert "next: the same without limit=2" in text


def test_nothing_usable_is_an_error_before_any_work(run_script, tiny, tmp_path):
    def outside(content):
        for entry in content["annotations"]:
            entry["segmentation"] = [[1, 1, 2, 2]]

    code, text = run_script("make_masks", *coco(tiny, outside), f"hydra.run.dir={tmp_path}/masks")
    assert code == 2, text
    assert "annotations can be learned: 20 annotations left out: 20 with fewer than 3 points; 20 of them" in text
    assert not list(tmp_path.glob("masks/train/*.png"))


def test_a_picture_listed_twice_is_named(run_script, tiny, tmp_path):
    settings = coco(tiny, lambda content: content["images"].append({**content["images"][0], "id": 99}))
    code, text = run_script("make_masks", *settings, f"hydra.run.dir={tmp_path}/masks")
    assert (code, "has 2 entries, each with its own annotations" in text) == (2, True), text
