"""The script as people run it: exit code 0 without errors, 1 with, 2 if it cannot look."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

BANEPA = Path(__file__).resolve().parents[1] / "data/banepa"
TRAIN = "data.train={images: images/train, annotations: annotations/train.json}"


def test_a_healthy_set(run_script, tiny, tmp_path):
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out")
    assert code == 0, text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["errors"] == 0
    assert report["splits"]["train"]["pictures"] == 10
    assert "<!doctype html>" in (tmp_path / "out" / "report.html").read_text()


def test_a_leak_ends_with_exit_code_1_and_can_be_fixed(run_script, tiny, tmp_path):
    shutil.copy(tiny / "images" / "test" / "18_1_9.png", tiny / "images" / "train" / "18_3_1.png")
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out", f"fix={tmp_path}/clean")
    assert code == 1, text
    assert "train: 1 leak (error)" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["fixed"]["train"] == {"pictures": 9, "left_out": 1, "at_border": 0, "moved": 0}
    names = {image["file_name"] for image in json.loads((tmp_path / "clean" / "train.json").read_text())["images"]}
    assert "18_3_1.png" not in names
    cleaned = [f"data.{split}.annotations={tmp_path}/clean/{split}.json" for split in ("train", "test")]
    assert " ".join(reversed(cleaned)) in text  # the command that it tells to type next
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/again", *cleaned)
    assert code == 0, text


def test_a_file_that_lists_no_roof_is_an_error(run_script, tiny, tmp_path):
    path = tiny / "annotations" / "test.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out")
    assert code == 1, text
    assert "test: 1 no annotation (error)" in text


def next_settings(text):
    (line,) = [line for line in text.splitlines() if "next: python train.py " in line]
    return shlex.split(line.partition("next: python train.py ")[2])


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_roofs_of_a_brush_are_told_and_become_roofs(run_script, tiny, tmp_path, fast):
    def brushed(content):
        for entry in content["annotations"]:
            entry["iscrowd"] = 1

    change(tiny / "annotations" / "train.json", brushed)
    where = (f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out")
    code, text = run_script("check_data", *where, f"fix={tmp_path}/kept")
    assert code == 1, text
    assert "train: 1 no annotation (error): in " in text
    assert "not judged (note): Marked `iscrowd`" in text
    assert "train.py does not take the cleaned files yet: " in text
    assert "next: python train.py" not in text
    code, text = run_script("check_data", *where, f"fix={tmp_path}/roofs", "crowds=roofs")
    assert code == 1, text
    code, text = run_script("train", *fast, *next_settings(text), "trainer.max_epochs=1")
    assert code == 0, text


def test_what_to_do_with_crowds_needs_a_folder_and_a_known_word(run_script, tiny):
    assert "choose one of keep, roofs" in run_script("check_data", f"data.root={tiny}", "crowds=roof", "fix=x")[1]
    code, text = run_script("check_data", f"data.root={tiny}", "crowds=roofs")
    assert (code, "crowds=roofs needs fix=FOLDER" in text) == (2, True)


def test_what_to_do_with_shifts_needs_a_folder_and_a_known_word(run_script, tiny):
    assert "choose one of keep, move" in run_script("check_data", f"data.root={tiny}", "shifts=apply", "fix=x")[1]
    code, text = run_script("check_data", f"data.root={tiny}", "shifts=move")
    assert (code, "shifts=move needs fix=FOLDER" in text) == (2, True)


@pytest.mark.slow
def test_shifted_labels_are_told_and_moved_on_demand(run_script, tmp_path):
    content = json.loads((BANEPA / "annotations/test.json").read_text())
    content["annotations"] = [each for each in content["annotations"] if max(each["bbox"][:2]) < 252]
    for entry in content["annotations"]:
        entry["segmentation"] = [[number + 3 for number in ring] for ring in entry["segmentation"]]
        entry["bbox"] = [entry["bbox"][0] + 3, entry["bbox"][1] + 3, *entry["bbox"][2:]]
    (tmp_path / "shifted.json").write_text(json.dumps(content))
    where = ("data.train=null", f"data.root={BANEPA}", f"hydra.run.dir={tmp_path}/out")
    shifted = f"data.test.annotations={tmp_path}/shifted.json"
    code, text = run_script("check_data", *where, shifted, f"fix={tmp_path}/clean", "shifts=move")
    assert code == 0, text
    assert "test: 1 label shift (note): 18_" in text
    assert "(the whole split (36 pictures), " in text
    assert re.search(r"roofs: move (3.[012]|2.9) px left and (3.[012]|2.9) px up", text)
    assert "let `fix` with `shifts=move` move them" in text
    assert "fix: test: pictures 36, left out 0, at border 36, moved 36" in text
    code, text = run_script("check_data", *where, f"data.test.annotations={tmp_path}/clean/test.json")
    assert code == 0, text
    assert "label shift" not in text


def test_a_picture_listed_twice_is_joined_by_the_remedy_of_train(run_script, tiny, tmp_path, fast):
    def twice(content):
        content["images"].append({**content["images"][0], "id": 99})
        content["annotations"][0]["image_id"] = 99

    before = json.loads((tiny / "annotations" / "train.json").read_text())["annotations"]
    change(tiny / "annotations" / "train.json", twice)
    code, text = run_script("train", *fast, f"data.root={tiny}", "trainer.max_epochs=1")
    assert (code, "has 2 entries, each with its own annotations" in text) == (2, True), text
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out", f"fix={tmp_path}/clean")
    assert code == 1, text
    content = json.loads((tmp_path / "clean" / "train.json").read_text())
    assert (len(content["images"]), len(content["annotations"])) == (10, len(before))
    code, text = run_script("train", *fast, *next_settings(text), "trainer.max_epochs=1")
    assert code == 0, text


def test_a_category_without_annotations_cannot_be_named(run_script, tiny, tmp_path):
    change(tiny / "annotations" / "train.json", lambda content: content["categories"].append({"id": 0, "name": "town"}))
    code, text = run_script(
        "check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out", "data.categories=[town]"
    )
    assert code == 2
    assert "data.categories names town: not one annotation" in text or "no category 'town'" in text


@pytest.mark.slow
def test_a_border_without_roofs_is_told_and_not_judged_in_the_fix(run_script, tmp_path):
    clean = tmp_path / "clean"
    where = ("data.train=null", f"data.root={BANEPA}", f"hydra.run.dir={tmp_path}/out")
    code, text = run_script("check_data", *where, f"fix={clean}")
    assert code == 0, text
    assert "test: 4 undrawn border (note)" in text
    crowds = [a for a in json.loads((clean / "test.json").read_text())["annotations"] if a["iscrowd"]]
    assert len(crowds) == 20  # of 36 tiles in six rows, those along the border
    assert "fix: test: pictures 36, left out 0, at border 20" in text
    code, text = run_script("check_data", *where, f"data.test.annotations={clean}/test.json")
    assert code == 0, text
    assert "undrawn border" not in text
    code, text = run_script("check_data", *where, f"fix={tmp_path}/as_it_is", "borders=false")
    assert code == 0, text
    assert '"iscrowd":1' not in (tmp_path / "as_it_is" / "test.json").read_text()


def test_tiles_that_touch_another_split_can_be_left_out(run_script, tiny, tmp_path):
    pictures, annotations = tiny / "images" / "test", tiny / "annotations" / "test.json"
    (pictures / "18_4_9.png").rename(pictures / "18_5_1.png")  # beside 18_4_0 and 18_4_1 of the training tiles
    annotations.write_text(annotations.read_text().replace("18_4_9.png", "18_5_1.png"))
    where = (f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out", f"fix={tmp_path}/clean")
    code, text = run_script("check_data", *where, "apart=places")
    assert code == 0, text
    names = {image["file_name"] for image in json.loads((tmp_path / "clean" / "train.json").read_text())["images"]}
    assert names == {f"18_{x}_{y}.png" for x in range(4) for y in range(2)}
    code, text = run_script("check_data", *where, "apart=place")
    assert code == 2
    assert "apart=place: choose one of copies, places" in text


def test_masks_beside_pictures(run_script, tiny, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(tiny / "images" / "train", folder / "images")
    shutil.copytree(tiny / "images" / "train", folder / "masks")
    Image.new("L", (3, 5)).save(folder / "masks" / "18_0_0.png")
    (folder / "masks" / "18_0_1.png").unlink()
    (folder / "masks" / "18_1_0.png").write_bytes(b"none")
    for path in (folder / "masks").glob("18_[2-4]_?.png"):
        Image.new("L", (80, 48), 2 * path.name.startswith("18_2_0")).save(path)
    code, text = run_script("check_data", "data=masks", f"data.root={folder}", f"hydra.run.dir={tmp_path}/out")
    assert code == 1, text
    where = {"missing file": "18_0_1", "mask of another size": "18_0_0", "unreadable mask": "18_1_0"}
    for finding, name in where.items():
        assert f"{finding} (error): {name}.png" in text
    assert "train: 3 unreadable mask (error): 18_1_0.png, 18_1_1.png, 18_2_0.png" in text


def test_a_category_that_a_file_has_not_is_told(run_script, tiny):
    code, text = run_script("check_data", f"data.root={tiny}", "data.categories=[roof]")
    assert code == 2
    assert "no category 'roof'; did you mean building (100)?" in text


def test_many_missing_files_are_named_by_the_first(run_script, tiny, tmp_path):
    names = sorted(path.name for path in (tiny / "images" / "train").iterdir())
    for name in names[1:]:
        (tiny / "images" / "train" / name).unlink()
    code, text = run_script("check_data", f"data.root={tiny}", f"hydra.run.dir={tmp_path}/out")
    assert code == 1
    assert f"train: 9 missing file (error): {', '.join(names[1:4])} ..." in text


def test_an_empty_root_draws_the_tree(run_script, tmp_path):
    code, text = run_script("check_data", "data=crowdai", f"data.root={tmp_path}/none")
    assert code == 2
    assert "train/annotation.json" in text


def test_a_split_may_be_named_as_the_data_set_says(run_script, tiny):
    shorter = "data.test={images: images/test, annotations: annotations/test.json}"
    code, text = run_script("check_data", "data=coco", f"data.root={tiny}", TRAIN, shorter)
    assert code == 0, text
    code, text = run_script("make_masks", "data=coco", f"data.root={tiny}", TRAIN, "data.test={images: images/test}")
    assert (code, "skipped" in Path("outputs/make_masks/coco/report.json").read_text()) == (0, True), text


def test_a_mix_and_a_fix_of_masks_are_refused(run_script, tiny, tmp_path):
    code, text = run_script("check_data", "data=open", f"data.root={tiny}")
    assert code == 2
    assert "a mix of 17 sources; check each one" in text
    (tmp_path / "set").mkdir()
    shutil.copytree(tiny / "images" / "train", tmp_path / "set" / "images")
    shutil.copytree(tiny / "images" / "train", tmp_path / "set" / "masks")
    code, text = run_script("check_data", "data=masks", f"data.root={tmp_path}/set", f"fix={tmp_path}/clean")
    assert code == 2
    assert "cleans annotation files" in text


def test_every_job_of_a_sweep_is_done_and_faults_are_told_at_the_end(run_script, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "broken")
    next((tmp_path / "broken" / "images" / "train").iterdir()).unlink()
    roots = f"data.root={tmp_path}/broken,{tiny}"
    code, text = run_script("check_data", "-m", "data=coco", TRAIN, roots, f"hydra.sweep.dir={tmp_path}/out")
    assert code == 1, text
    jobs = [json.loads((tmp_path / "out" / str(i) / "job.json").read_text())["status"] for i in range(2)]
    assert jobs == ["failed", "done"]
