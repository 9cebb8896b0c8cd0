"""Levels of an encoder that stay as they are, through the real script."""

import pytest
from safetensors.torch import load_file


@pytest.fixture
def train(run_script, tiny, fast, tmp_path):
    """train(*overrides) -> (exit code, text): a small network with an encoder, one epoch, into `tmp_path / name`."""
    plain = [override for override in fast if not override.startswith("model.")]

    def run(name, *overrides):
        base = ("model=unet_efficientnet_lite0", "model.decoder=[8,8,8,8]", "optimizer.lr=0.01")
        folder = f"hydra.run.dir={tmp_path / name}"
        return run_script("train", *plain, *base, f"data.root={tiny}", folder, "trainer.max_epochs=1", *overrides)

    return run


def upper(name):
    """Whether a weight belongs to the two upper levels of the encoder: stem and blocks 0 to 2 of Lite0."""
    return name.startswith(("encoder._conv_stem", "encoder._bn0", *(f"encoder._blocks.{i}." for i in range(3))))


@pytest.mark.slow
def test_frozen_levels_keep_weights_and_statistics_and_the_others_learn(train, tmp_path):
    begin = "++callbacks.start={_target_: rooftop.callbacks.RunStart, run: %s}"
    assert train("first", "callbacks.start=null")[0] == 0
    freeze = "+callbacks.freeze={_target_: rooftop.callbacks.Freeze, levels: 2}"
    code, text = train("second", begin % (tmp_path / "first"), freeze, "trainer.max_epochs=2")
    assert code == 0, text
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert not [name for name in moved if upper(name)]
    assert {name for name in before if "weight" in name and not upper(name)} <= moved
    assert [name for name in moved if "running_mean" in name]


@pytest.mark.parametrize(
    ("levels", "said"), [("6", "an encoder has 5 levels"), ("2", "callbacks.freeze: the network has no encoder")]
)
def test_what_cannot_be_frozen_is_one_sentence(run_script, fast, tiny, levels, said):
    freeze = f"+callbacks.freeze={{_target_: rooftop.callbacks.Freeze, levels: {levels}}}"
    code, text = run_script("train", *fast, f"data.root={tiny}", freeze)
    assert code == 2
    assert said in text
