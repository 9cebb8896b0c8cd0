import numpy as np
import pytest
import torch

from rooftop.data import RoofDataModule
from rooftop.errors import ConfigError
from rooftop.inference import Predictor
from rooftop.run import load


def test_predicting_from_the_run_folder_equals_validation_logits(trained, tiny):
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(OmegaConf.load(trained / ".hydra" / "config.yaml"), resolve=False)["data"]
    data = RoofDataModule({**config, "root": str(tiny)})
    run = load(trained)
    predictor = Predictor(run, device="cpu")
    dataset = data.dataset("val")
    for i in range(len(dataset)):
        with torch.no_grad():
            logits = run.network(dataset.normalised(dataset[i]))
        probability = predictor.probability(dataset.source.picture(int(dataset.picks[i])))
        np.testing.assert_allclose(probability, logits.sigmoid()[0].numpy(), atol=1e-5)  # batch norm is folded


@pytest.mark.parametrize("size", [(1, 1), (65, 97), (7, 200)])
def test_any_size(trained, size):
    run = load(trained)
    probability = Predictor(run, device="cpu").probability(np.zeros((*size, 3), np.uint8))
    assert probability.shape == (len(run.card.targets), *size)
    assert probability.dtype == np.float32


def test_resized_run_answers_in_the_pictures_own_size(run_script, fast, tiny, tmp_path):
    code, text = run_script(
        "train",
        *fast,
        f"data.root={tiny}",
        "data.size=[32,64]",
        "trainer.max_epochs=1",
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 0, text
    run = load(tmp_path / "run")
    assert Predictor(run).probability(np.zeros((48, 80, 3), np.uint8)).shape == (len(run.card.targets), 48, 80)


def test_unknown_device_is_named(trained):
    with pytest.raises(ConfigError, match="device=tpux"):
        Predictor(load(trained), device="tpux")


def test_another_engine_gives_the_logits(trained):
    picture = np.random.default_rng(0).integers(0, 256, (33, 57, 3), dtype=np.uint8)
    seen = []

    def logits(pictures):
        seen.append(pictures)
        return torch.zeros(len(pictures), 1, *pictures.shape[1:3])

    probability = Predictor(load(trained), logits=logits).probability(picture)
    assert (probability == 0.5).all()
    assert seen[0].dtype == torch.uint8
    assert np.array_equal(seen[0][0].numpy(), picture)
    with pytest.raises(ConfigError, match="device=cuda: engine=int8 works on the CPU only"):
        Predictor(load(trained), device="cuda", logits=logits, engine="int8")
