"""The whole way through the real script."""

import csv
import json

import pytest


@pytest.fixture
def quick():
    return ("bootstrap.rounds=20", "examples=1", "device=cpu")


def test_a_run_is_scored_and_its_predictions_score_alike(trained, tiny, run_script, tmp_path, quick):
    folder = tmp_path / "scored"
    common = (f"run={trained}", f"data.root={tiny}")
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
        "gsd=0.53",
        f"hydra.run.dir={again}",
        *quick,
    )
    assert code == 0, text
    by_files = json.loads((again / "scores.json").read_text())
    assert "run lengths without outlines" not in text
    assert by_files["object"] == pytest.approx(by_run["object"], nan_ok=True)
    assert by_files["shifted"]["iou"] > 0
    known = {name: value for name, value in by_run["polygon"].items() if value is not None}
    assert by_files["polygon"] == pytest.approx({**by_files["polygon"], **known}, abs=0.02)


def test_what_predict_found_in_a_folder_is_scored_as_its_run_is(trained, tiny, run_script, tmp_path, quick):
    """The json numbers the pictures from the last to the first, predict.py from the first to the last."""
    path = tiny / "annotations" / "test.json"
    annotations = json.loads(path.read_text())
    numbers = {image["id"]: 90 - image["id"] for image in annotations["images"]}
    for entry, key in [(i, "id") for i in annotations["images"]] + [
        (a, "image_id") for a in annotations["annotations"]
    ]:
        entry[key] = numbers[entry[key]]
    path.write_text(json.dumps(annotations))
    run = f"run={trained}"
    code, text = run_script("predict", run, f"source={tiny}/images/test", "tta=null", f"hydra.run.dir={tmp_path}/found")
    assert code == 0, text
    found = (f"predictions={tmp_path}/found/predictions.coco.json", f"annotations={path}")
    scores = []
    for number, what in enumerate([(run, f"data.root={tiny}"), found]):
        code, text = run_script("evaluate", *what, f"hydra.run.dir={tmp_path}/{number}", *quick)
        assert code == 0, text
        scores.append(json.loads((tmp_path / str(number) / "scores.json").read_text())["object"]["f1"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[0] > 0


def test_a_run_is_scored_from_another_folder_than_it_was_trained_in(trained, run_script, tmp_path, quick, monkeypatch):
    """Its data.root is relative to that of the training."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, text = run_script("evaluate", f"run={trained}", *quick)
    assert code == 0, text


def test_a_run_of_adapt_is_scored_on_the_data_set_of_the_command(trained, tiny, run_script, tmp_path, quick):
    (trained / ".hydra" / "config.yaml").write_text("source: city.tif\ncorrected: roofs.gpkg\n")
    code, text = run_script(
        "evaluate", f"run={trained}", f"data.root={tiny}", f"hydra.run.dir={tmp_path / 'out'}", *quick
    )
    assert code == 0, text
    assert "data: banepa, since a run of adapt.py has no data set of its own" in text
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["pictures"] == 5


def test_runs_are_compared_by_what_each_scores_alone(trained, tiny, run_script, tmp_path, quick):
    other = _copied(trained, tmp_path, threshold=0.9)

    def scored(*overrides):
        folder = tmp_path / "-".join(["out", *(name[:3] for name in overrides)])
        code, text = run_script("evaluate", *overrides, f"data.root={tiny}", f"hydra.run.dir={folder}", *quick)
        assert code == 0, text
        return folder

    first, second = (
        json.loads((scored(f"run={run}") / name).read_text())["pixel"]["iou"]
        for run, name in ((trained, "scores.json"), (other, "scores.json"))
    )
    compared = json.loads((scored(f"run={trained}", f"compare={other}") / "comparison.json").read_text())
    assert first != second
    assert abs(compared["differences"]["v1.1"]["pixel"]["iou"]["value"]) == pytest.approx(abs(first - second))


@pytest.mark.slow
def test_what_a_person_asks_of_a_run_changes_its_scores(trained, tiny, run_script, tmp_path, quick):
    card = json.loads((trained / "card.json").read_text())
    (trained / "card.json").write_text(json.dumps({**card, "gsd": 0.5}))
    found = {}
    for override in ("threshold=null", "threshold=0.9", "tta=flips", "data.gsd=1", "rescale=no"):
        asked = ("data.gsd=1", override) if override == "rescale=no" else (override,)
        folder = tmp_path / override.replace("=", "-")
        code, text = run_script(
            *("evaluate", f"run={trained}", f"data.root={tiny}", *asked, f"hydra.run.dir={folder}", *quick)
        )
        assert code == 0, text
        found[override] = json.loads((folder / "scores.json").read_text())
    assert len({round(scores["pixel"]["f1"], 6) for scores in found.values()}) == 4
    assert found["rescale=no"]["pixel"] == found["threshold=null"]["pixel"]
    assert [found[name]["scaled_by"] for name in ("rescale=no", "data.gsd=1")] == [None, 2]


def test_a_run_is_scored_on_the_data_of_its_training(run_script, tiny, tmp_path, fast, quick):
    own = ("data=coco", f"data.root={tiny}", "data.train={images: images/train, annotations: annotations/train.json}")
    run = tmp_path / "own"
    more = ("trainer.max_epochs=1", "logger=[tensorboard,csv]", "pictures=1", f"hydra.run.dir={run}")
    code, text = run_script("train", *fast, *own, *more)
    assert code == 0, text
    assert not [*(run / "pictures").glob("test_*")]
    assert len([*(run / "pictures").glob("val_*.png")]) == 2
    with (run / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        (final,) = (row["val_best/iou"] for row in csv.DictReader(file) if row["val_best/iou"])
    assert float(final) == pytest.approx(json.loads((run / "scores.json").read_text())["pixel"]["iou"], abs=1e-6)
    assert "test/" not in (run / "csv" / "version_0" / "metrics.csv").read_text()
    assert "model.depth: 2" in (run / "csv" / "version_0" / "hparams.yaml").read_text()
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


def _copied(run, tmp_path, **changes):
    copy = tmp_path / "v1.1"
    copy.mkdir()
    (copy / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    (copy / "card.json").write_text(json.dumps({**json.loads((run / "card.json").read_text()), **changes}))
    return copy


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ((), "name what to score"),
        (("predictions=a.json",), "needs annotations=FILE"),
        (("predictions=a.json", "annotations=b.json"), "b.json"),
        (("predictions=a.json", "annotations=b.json", "compare=c"), "compare= is for runs"),
        (("predictions=a.json", "annotations=b.json", "threshold=0.9"), "threshold= is for runs"),
        (("run=nowhere", "bootstrap.seed=-1"), "bootstrap.seed=-1: must be 0 or more"),
        (("run=nowhere",), "nowhere is no folder"),
        (
            ("run=nowhere", "gsd=0.3"),
            "gsd= is for predictions=; the metres per pixel of a run's pictures are data.gsd=",
        ),
        (("run=nowhere", "bootstrap.runs=3"), "bootstrap.rounds"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(run_script, overrides, sentence):
    code, text = run_script("evaluate", *overrides)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text


def test_training_pictures_are_scored_against_roofs_as_annotated(trained, tiny, run_script, tmp_path, quick):
    """Training takes a pixel off between roofs that touch (data.gaps); scores do not."""
    path = tiny / "annotations" / "train.json"
    truth = json.loads(path.read_text())
    for item in [*truth["annotations"]]:  # cut each roof in two that touch
        left, top, right, _, _, bottom, _, _ = item["segmentation"][0]
        middle = (left + right) // 2
        item["segmentation"] = [[left, top, middle, top, middle, bottom, left, bottom]]
        half = [[middle, top, right, top, right, bottom, middle, bottom]]
        truth["annotations"].append({**item, "id": item["id"] + 1000, "segmentation": half})
    path.write_text(json.dumps(truth))
    scores = []
    for gaps in ("true", "false"):
        folder = tmp_path / gaps
        where = (f"run={trained}", f"data.root={tiny}", f"hydra.run.dir={folder}", "split=train")
        code, text = run_script("evaluate", *where, f"data.gaps={gaps}", *quick)
        assert code == 0, text
        scores.append(json.loads((folder / "scores.json").read_text())["pixel"])
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_sweep_of_evaluations_ends_with_its_table(trained, tiny, run_script, tmp_path, quick):
    sweep = f"hydra.sweep.dir={tmp_path}/sweep"
    code, text = run_script("evaluate", "-m", f"run={trained}", f"data.root={tiny}", "threshold=0.4,0.6", sweep, *quick)
    assert code == 0, text
    table = (tmp_path / "sweep" / "sweep.csv").read_text().splitlines()
    assert len(table) == 3
    assert "iou" in table[0]
    assert "monitor" not in table[0]
