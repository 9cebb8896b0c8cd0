"""The whole way through the real script."""

import json

import pytest


@pytest.fixture
def quick():
    return ("bootstrap.rounds=20", "examples=1", "device=cpu")


def test_a_run_is_scored_and_its_predictions_score_alike(trained, tiny, run_script, tmp_path, quick):
    folder = tmp_path / "scored"
    common = (f"run={trained}", f"data.root={tiny}", "polygons=exact")  # drawn again, exact outlines are the mask
    code, text = run_script("evaluate", *common, f"hydra.run.dir={folder}", *quick)
    assert code == 0, text
    by_run = json.loads((folder / "scores.json").read_text())
    from_training = json.loads((trained / "scores.json").read_text())
    assert by_run["pixel"]["iou"] == pytest.approx(from_training["pixel"]["iou"], abs=1e-6)
    assert {path.name for path in folder.iterdir()} >= {
        "scores.json",
        "predictions.coco.json",
        "per_image.csv",
        "report.html",
    }
    again = tmp_path / "again"
    code, text = run_script(
        "evaluate",
        f"predictions={folder}/predictions.coco.json",
        f"annotations={tiny}/annotations/test.json",
        f"images={tiny}/images/test",
        f"hydra.run.dir={again}",
        *quick,
    )
    assert code == 0, text
    by_files = json.loads((again / "scores.json").read_text())
    assert by_files["object"] == pytest.approx(by_run["object"], nan_ok=True)
    assert by_files["pixel"]["iou"] == by_run["pixel"]["iou"]
    code, text = run_script(
        "evaluate",
        f"run={trained}",
        f"compare={_copied(trained, tmp_path)}",
        f"data.root={tiny}",
        f"hydra.run.dir={tmp_path}/compared",
        *quick,
    )
    assert code == 0, text
    compared = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert compared["differences"]["copy"]["pixel"]["iou"]["value"] == 0


def test_a_run_is_scored_on_the_data_of_its_training(run_script, tiny, tmp_path, fast, quick):
    own = ("data=coco", f"data.root={tiny}", "data.train={images: images/train, annotations: annotations/train.json}")
    run = tmp_path / "own"
    code, text = run_script("train", *fast, *own, "trainer.max_epochs=1", f"hydra.run.dir={run}")
    assert code == 0, text
    (command,) = (line for line in text.splitlines() if "python evaluate.py" in line)
    code, text = run_script(
        "evaluate", *command.split()[2:], f"run={run}", f"hydra.run.dir={tmp_path / 'scored'}", *quick
    )
    assert code == 0, text
    scored = json.loads((tmp_path / "scored" / "scores.json").read_text())
    trained = json.loads((run / "scores.json").read_text())
    assert (scored["data"], scored["split"], scored["pictures"]) == ("coco", "val", trained["pictures"])
    assert scored["pixel"]["iou"] == pytest.approx(trained["pixel"]["iou"], abs=1e-6)


def test_splits_without_pictures_or_truth_are_one_sentence(run_script, tiny, tmp_path, fast):
    named = "data.test={images: images/test, annotations: annotations/test.json}"
    train = "data.train={images: images/train, annotations: annotations/train.json}"
    own = ("train", *fast, "data=coco", f"data.root={tiny}", train)
    code, text = run_script(*own, "data.test={images: images/test}")
    assert (code, "neither annotations nor masks" in text) == (2, True), text
    whole = json.loads((tiny / "annotations" / "test.json").read_text())
    (tiny / "annotations" / "test.json").write_text(json.dumps({**whole, "images": [], "annotations": []}))
    code, text = run_script(*own, named)
    assert (code, "the test split of the data set coco has no picture" in text) == (2, True), text


def test_a_mix_is_not_scored_as_one(trained, tiny, run_script):
    where = "images: images/train, annotations: annotations/train.json, masks: null"
    part = "{" + where + ", match: null, skip: [], gsd: 0.5, weight: 1}"
    code, text = run_script("evaluate", f"run={trained}", f"data.root={tiny}", "split=train", f"+data.mix.a={part}")
    assert (code, "is a mix" in text) == (2, True), text


def _copied(run, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("card.json", "model.safetensors"):
        (copy / name).write_bytes((run / name).read_bytes())
    return copy


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ((), "name what to score"),
        (("predictions=a.json",), "needs annotations=FILE"),
        (("predictions=a.json", "annotations=b.json"), "b.json"),
        (("run=nowhere",), "nowhere is no folder"),
        (("run=nowhere", "bootstrap.runs=3"), "bootstrap.rounds"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(run_script, overrides, sentence):
    code, text = run_script("evaluate", *overrides)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text
