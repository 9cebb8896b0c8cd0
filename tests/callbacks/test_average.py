import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from rooftop.callbacks import Average, ImageNetStart
from rooftop.errors import ConfigError


class Steps(LightningModule):
    """One weight that grows by 1 a step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def training_step(self, batch, index):
        self.count += 1
        return -self.weight

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fitted(tmp_path, decay, steps):
    module = Steps()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[Average(decay=decay)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(torch.zeros(steps, 1)))
    return module


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning")
def test_mean_follows_its_definition_and_counts_are_taken_over(tmp_path):
    module = fitted(tmp_path, decay=0.5, steps=6)
    mean = 1.0  # after the first step it is the weights
    for step in range(1, 6):
        stays = min(0.5, (step + 1) / (step + 10))
        mean = stays * mean + (1 - stays) * (step + 1)
    assert module.weight.item() == pytest.approx(mean)
    assert int(module.count) == 6


def test_start_from_imagenet_needs_an_encoder():
    task = Steps()
    task.network = nn.Identity()
    with pytest.raises(ConfigError, match=r"callbacks\.start"):
        ImageNetStart().setup(None, task, "fit")
