"""Each logger gets what it can take."""

from types import SimpleNamespace

import numpy as np
import pytest
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.trainer.states import TrainerFn

from rooftop.callbacks import ProgressBar
from rooftop.callbacks.loggers import close_loggers, log_curve, log_picture, log_settings, takes_pictures
from rooftop.metrics.curve import histogram


class Gallery(DummyLogger):
    """A logger of another package, with `log_image` and a run to finish."""

    def __init__(self):
        super().__init__()
        self.seen, self.settings, self.finished = [], {}, 0
        self._experiment = SimpleNamespace(finish=self.finish)

    def log_hyperparams(self, settings):
        self.settings = settings

    def log_image(self, key, images, step):
        self.seen.append((key, [image.shape for image in images], step))

    def finish(self):
        self.finished += 1


@pytest.fixture
def trainer(tmp_path):
    loggers = [Gallery(), CSVLogger(tmp_path)]
    state = SimpleNamespace(fn=TrainerFn.FITTING)
    return SimpleNamespace(loggers=loggers, is_global_zero=True, current_epoch=2, global_step=30, state=state)


def test_a_logger_with_pictures_gets_panels_and_the_curve(trainer):
    gallery, table = trainer.loggers
    assert (takes_pictures(gallery), takes_pictures(table)) == (True, False)
    found = histogram(np.array([0.2, 0.8]), np.array([0, 1]), np.ones(2, bool))
    for logger in trainer.loggers:
        log_picture(trainer, logger, "val/0_tile", np.zeros((5, 7, 3), np.uint8))
        log_curve(trainer, logger, found)
    (panel, curve) = gallery.seen
    assert panel == ("val/0_tile", [(5, 7, 3)], 30)
    assert curve[0] == "val/precision_recall"
    assert curve[1][0][-1] == 3


def test_settings_go_to_each_and_runs_are_finished(trainer):
    log_settings(trainer, {"model.depth": 4})
    assert trainer.loggers[0].settings == {"model.depth": 4}
    assert dict(trainer.loggers[1].experiment.hparams) == {"model.depth": 4}
    close_loggers(trainer)
    assert trainer.loggers[0].finished == 1


def test_mlflow_gets_settings_pictures_and_scores(run_script, tiny, tmp_path, fast):
    mlflow = pytest.importorskip("mlflow")
    common = (
        "train",
        *fast,
        f"data.root={tiny}",
        "trainer.max_epochs=1",
        "pictures=1",
        f"hydra.run.dir={tmp_path}/run",
    )
    code, text = run_script(*common, "logger=[tensorboard,mlflow]")
    assert code == 0, text
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("banepa").experiment_id])
    assert run.data.params["model.depth"] == "2"
    assert {"test/iou", "val/iou", "train/loss"} <= {*run.data.metrics}
    assert len(client.list_artifacts(run.info.run_id, "pictures/val")) == 2


def test_the_bar_counts_epochs_from_one():
    bar = ProgressBar()
    bar._trainer = SimpleNamespace(max_epochs=14)
    assert bar._get_train_description(0).strip() == "Epoch 1/14"
    bar._trainer.max_epochs = -1
    assert bar._get_train_description(13).strip() == "Epoch 14"
