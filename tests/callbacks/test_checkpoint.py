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
    for wrong, said in (
        ("callbacks.best=null", "callbacks.best"),
        ("+callbacks.best.save_top_k=3", "save_top_k"),
        ("callbacks.best.monitor=val/loss", "monitor"),
        ("+callbacks.best.every_n_epochs=2", "schedule"),
        ("+trainer.fast_dev_run=true", "fast_dev_run"),
        ("+trainer.limit_val_batches=0", "validate nothing"),
    ):
        code, text = run_script(*again, wrong)
        assert (code, said in text) == (2, True), text
    assert all((trained / "checkpoints" / name).exists() for name in KEPT)


def test_a_linked_output_folder_trains_and_goes_on(run_script, tiny, tmp_path, fast):
    (tmp_path / "disk").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "disk")
    run = tmp_path / "outputs" / "run"
    code, text = run_script("train", *fast, f"data.root={tiny}", "trainer.max_epochs=1", f"hydra.run.dir={run}")
    assert code == 0, text
    last = run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    for state in content["callbacks"].values():
        if state.get("best_model_score") is not None:
            state["best_model_score"] = torch.tensor(2.0)  # no epoch can be better
            state["best_k_models"] = {path: torch.tensor(2.0) for path in state["best_k_models"]}
    torch.save(content, last)
    before = (run / "checkpoints" / "best.ckpt").read_bytes()
    code, text = run_script("train", f"resume={run}", "trainer.max_epochs=2")
    assert code == 0, text
    assert (run / "checkpoints" / "best.ckpt").read_bytes() == before
