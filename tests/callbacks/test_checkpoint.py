"""Checkpoints in a folder that was moved, and of an earlier training in the same folder."""

import torch

KEPT = ("best.ckpt", "last.ckpt")


def test_a_moved_run_keeps_its_best_weights(trained, run_script):
    best, last = (trained / "checkpoints" / name for name in KEPT)
    content = torch.load(last, weights_only=True)
    states = [state for state in content["callbacks"].values() if state.get("best_model_score") is not None]
    for state in states:
        assert not state["dirpath"].startswith(str(trained))  # the fixture is a copy of a run that lies elsewhere
        state["best_model_score"] = torch.tensor(2.0)  # no epoch can be better
        state["best_k_models"] = {path: torch.tensor(2.0) for path in state["best_k_models"]}
    torch.save(content, last)
    before = best.read_bytes()
    code, text = run_script("train", f"resume={trained}", "trainer.max_epochs=3")
    assert code == 0, text
    assert torch.load(last, weights_only=True)["epoch"] == 2
    assert best.read_bytes() == before


def test_weights_of_an_earlier_training_do_not_pass_for_new_ones(trained, run_script, tiny, fast):
    again = ("train", *fast, f"data.root={tiny}", "trainer.max_epochs=1", f"hydra.run.dir={trained}")
    for wrong, said in (("callbacks.best=null", "callbacks.best"), ("+trainer.fast_dev_run=true", "fast_dev_run")):
        code, text = run_script(*again, wrong)
        assert (code, said in text) == (2, True), text
    assert all((trained / "checkpoints" / name).exists() for name in KEPT)
