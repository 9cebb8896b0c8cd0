"""A checkpoint that does not belong to the training is one sentence before any work."""

import copy
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from rooftop import schedules
from rooftop.callbacks import Average, History
from rooftop.callbacks.resume import require_resumable, require_weights
from rooftop.config import build
from rooftop.config.run_config import register_stored
from rooftop.errors import RooftopError, RunError
from rooftop.task import RooftopTask
from tests.mutate import mutated

STORED_RUN = Path(__file__).parents[1] / "golden" / "run"


@pytest.fixture
def run(tmp_path):
    """A copy of the stored run folder."""
    return Path(shutil.copytree(STORED_RUN, tmp_path / "run"))


@pytest.fixture
def parts(run):
    """Trainer and task of the stored run, without its data."""
    return make(run)


def make(run: Path, optimizer: Any = None) -> tuple[pl.Trainer, RooftopTask]:
    """Make the parts that a checkpoint is restored into."""
    stored = register_stored(run)
    network = build(stored.model, "model", in_channels=3, classes=2)
    chosen = optimizer or build(stored.optimizer, "optimizer")
    schedule = lambda optimizer, steps: schedules.one_cycle(optimizer, steps, rise=0.3)  # noqa: E731
    task = RooftopTask(
        network, torch.nn.Identity(), lambda: None, optimizer=chosen, schedule=schedule, threshold=0.5, seed=0
    )
    task.scores = torch.nn.ModuleDict()
    where = str(run / "checkpoints")
    callbacks = [
        History(run, monitor="val/iou", mode="max"),
        ModelCheckpoint(where, "best", monitor="val/iou", mode="max"),
        ModelCheckpoint(where, "last"),
        EarlyStopping("val/iou", mode="max", patience=20),
        Average(decay=0.99),
    ]
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(callbacks=callbacks, default_root_dir=str(run), **options), task


def said(run: Path, parts: Any, content: Any) -> str:
    """Write a checkpoint; return the sentence of its refusal, or an empty string."""
    path = run / "checkpoints" / "last.ckpt"
    torch.save(content, path)
    try:
        require_resumable(path, *parts)
    except RooftopError as error:
        sentence = str(error)
    else:
        return ""
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600 + len(str(run))
    return sentence


@pytest.fixture
def content(run):
    """The content of the stored checkpoint."""
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_a_checkpoint_of_this_training_passes_and_changes_nothing(run, parts):
    trainer, task = parts
    before = copy.deepcopy(task.state_dict())
    assert require_resumable(run / "checkpoints" / "last.ckpt", trainer, task) == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in task.state_dict().items())
    assert trainer.callbacks[0].rows == []
    assert require_weights(run / "checkpoints" / "last.ckpt", task).keys() == before.keys()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"epoch": "three"}, "epoch"),
        ({"epoch": -1}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"pytorch-lightning_version": "new"}, "epoch"),
        ({"state_dict": {}}, "weights"),
        ({"state_dict": None}, "weights"),
        ({"current_model_state": {"a": torch.zeros(3)}}, "weights"),
        ({"optimizer_states": []}, "optimizer"),
        ({"optimizer_states": [{"state": {}, "param_groups": []}]}, "optimizer"),
        ({"lr_schedulers": []}, "optimizer"),
        ({"lr_schedulers": [{"step": 5, "last_epoch": 0}]}, "optimizer"),
        ({"loops": {}}, "progress"),
        ({"loops": {"fit_loop": {"epoch_progress": 3}}}, "progress"),
        ({"callbacks": []}, "callbacks"),
        ({"callbacks": {"History": {"rows": [{"epoch": "text"}]}}}, "callbacks"),
        ({"callbacks": {"History": {"rows": [], "validations": [{"epoch": 0.0}]}}}, "callbacks"),
    ],
)
def test_what_does_not_fit_is_named(run, parts, content, change, part):
    assert f"last.ckpt: {part} of another training" in said(run, parts, content | change)


@pytest.mark.parametrize("key", ["epoch", "state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"])
def test_a_checkpoint_without_a_part_is_refused(run, parts, content, key):
    del content[key]
    assert key in said(run, parts, content)


@pytest.mark.parametrize("optimizer", [torch.optim.Adagrad, lambda weights: torch.optim.SGD(weights, 0.1, 0.9)])
def test_the_state_of_another_optimizer_is_refused(run, content, optimizer):
    made = optimizer if optimizer is not torch.optim.Adagrad else lambda weights: torch.optim.Adagrad(weights, 0.1)
    assert "last.ckpt: optimizer of another training" in said(run, make(run, made), content)


def test_weights_of_another_width_are_refused(run, content):
    path = run / ".hydra" / "config.yaml"
    path.write_text(path.read_text().replace("width: 4", "width: 6"))
    assert "last.ckpt: weights of another training" in said(run, make(run), content)


def test_a_path_that_leaves_the_folder_is_never_deleted(run, parts, content):
    key = next(key for key in content["callbacks"] if key.startswith("ModelCheckpoint{'monitor': 'val/iou'"))
    where = str(run / "checkpoints" / ".." / ".." / "precious")
    content["callbacks"][key] |= {"best_k_models": {where: torch.tensor(0.1)}, "kth_best_model_path": where}
    assert "callbacks of another training" in said(run, parts, content)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", bytes(1000)])
def test_what_is_no_checkpoint_is_refused(run, parts, content):
    path = run / "checkpoints" / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"last\.ckpt: damaged"):
        require_resumable(path, *parts)


@pytest.mark.parametrize("foreign", [[1, 2], 5, {"a": 1}, torch.zeros(3), {}])
def test_a_foreign_file_of_torch_is_refused(run, parts, foreign):
    assert said(run, parts, foreign)


def test_what_unpacks_to_more_than_the_file_is_refused(run, parts):
    path = run / "checkpoints" / "last.ckpt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(run / "bomb", "w", zipfile.ZIP_DEFLATED) as bomb:
        for entry in archive.infolist():
            bomb.writestr(entry.filename, archive.read(entry))
    (run / "bomb").replace(path)
    with pytest.raises(RunError, match="refused"):
        require_resumable(path, *parts)
    assert "refused" in said(run, parts, {"epoch": bytearray(10)})


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_one_sentence_or_passes(run, parts, content, count):
    sentences = []
    for seed in range(count):
        rng = random.Random(seed)
        shaken = dict(content)
        for key in rng.sample(sorted(content), 1 if rng.random() < 0.7 else 2):
            shaken |= mutated({key: content[key]}, rng)
        sentences.append(said(run, parts, shaken))
    assert count / 20 < sum(not sentence for sentence in sentences) < count / 2


def test_damaged_bytes_are_one_sentence_or_pass(run, parts):
    path = run / "checkpoints" / "last.ckpt"
    whole = path.read_bytes()
    for seed in range(100):
        rng = random.Random(seed)
        i = rng.randrange(len(whole) if rng.random() < 0.3 else 22_000)  # the first part holds the names
        path.write_bytes(whole[:i] + bytes([rng.randrange(256)]) + whole[i + 1 :])
        try:
            require_resumable(path, *parts)
        except RooftopError as error:
            sentence = str(error)
            assert sentence.startswith(str(path))
