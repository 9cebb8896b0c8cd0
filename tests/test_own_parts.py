"""The example of a package of one's own: every part is named, trained, evaluated and predicted with."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_parts"


@pytest.fixture
def own(monkeypatch, run_script):
    """own(script, *overrides) -> (exit code, text), with the example package importable and trusted."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.setenv("ROOFTOP_ALLOW", "own_parts")
    return run_script


def test_a_training_with_every_part_of_ones_own(own, monkeypatch, tmp_path):
    run = tmp_path / "run"
    code, text = own(
        "train",
        *(f"hydra.searchpath=[file://{EXAMPLE / 'conf'}]", "experiment=own_parts", f"data.root={EXAMPLE / 'data'}"),
        *("trainer.max_epochs=2", "trainer.accelerator=cpu", "data.workers=0", "callbacks=quiet", "pictures=0"),
        "+callbacks.freeze={_target_: rooftop.callbacks.Freeze, levels: 1}",
        *("monitor.name=val/roof_share", "monitor.mode=min", f"hydra.run.dir={run}"),
    )
    assert code == 0, text
    lines = [json.loads(line) for line in (run / "lines.jsonl").read_text().splitlines()]
    logged = {name for line in lines for name in line}
    assert {"val/roof_share", "test/roof_share", "gradient_norm", "train/loss"} <= logged
    scores = json.loads((run / "scores.json").read_text())
    assert scores["metrics"]["roof_share"] > 0
    assert scores["monitor"]["name"] == "val/roof_share"
    assert {name.split(".")[0] for name in load_file(run / "model.safetensors")} == {"encoder", "decoder", "head"}

    code, text = own("evaluate", f"run={run}", "bootstrap.rounds=5", "examples=0", f"hydra.run.dir={tmp_path / 'e'}")
    assert code == 0, text
    found = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert found["pixel"]["iou"] == pytest.approx(scores["pixel"]["iou"], abs=1e-3)
    coco = json.loads((tmp_path / "e" / "predictions.coco.json").read_text())
    assert {each["category_id"] for each in coco} <= {1}

    monkeypatch.delenv("ROOFTOP_ALLOW")
    code, text = own("evaluate", f"run={run}")
    assert code == 2
    assert "own_parts" in text
    assert "set ROOFTOP_ALLOW=package if you trust it" in text


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.source={_target_: rooftop.losses.BCE}", "data.source: BCE.__init__() got an unexpected"),
        ("data.targets=[roof,core]", "data.source: a class of your own draws only roofs"),
        ("+metrics.iou={_target_: own_parts.RoofShare}", "metrics.iou: the trainer has a score of this name"),
        ("+metrics.pairs={_target_: own_parts.HardestPixels, share: 1.0}", "metrics.pairs: "),
        ("model.decoder=[8]", "decoder has 1 values, but a last stride of 4 needs 2"),
    ],
)
def test_parts_that_do_not_fit_are_one_sentence(own, override, said):
    code, text = own(
        "train",
        *(f"hydra.searchpath=[file://{EXAMPLE / 'conf'}]", "experiment=own_parts", f"data.root={EXAMPLE / 'data'}"),
        *("trainer.accelerator=cpu", "data.workers=0", override),
    )
    assert code == 2
    assert said in text
    assert "Traceback" not in text
