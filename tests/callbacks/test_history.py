"""The run can be stopped and gone on with."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from rooftop.task import RooftopTask


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3])  # in the first epoch, in the second
def test_ctrl_c_says_how_to_go_on_and_the_result_is_the_same(run_script, tiny, tmp_path, fast, monkeypatch, step):
    common = ("train", *fast, f"data.root={tiny}", "trainer.max_epochs=2", "data.batch_size=4")
    assert run_script(*common, f"hydra.run.dir={tmp_path}/whole")[0] == 0
    honest = RooftopTask.training_step

    def stopping(self, batch, index):
        if self.global_step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, batch, index)

    monkeypatch.setattr(RooftopTask, "training_step", stopping)
    code, text = run_script(*common, f"hydra.run.dir={tmp_path}/parts")
    assert code != 0
    assert not (tmp_path / "parts" / "card.json").exists()
    monkeypatch.setattr(RooftopTask, "training_step", honest)
    if step == 1:
        assert "no epoch was finished" in text
        assert "name a run that finished an epoch" in run_script("train", f"resume={tmp_path}/parts")[1]
        return
    assert f"go on with: python train.py resume={tmp_path}/parts" in text
    code, text = run_script("train", f"resume={tmp_path}/parts")
    assert code == 0, text
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
